//! Networks: the language of `model:` in a sweep file, its presets, and what is known of a network before training.
//!
//! A [`Template`] contains references to parameters. [`Template::layers`] resolves them into the layers of a recipe,
//! and [`shapes`] computes the shape of an image after each of those. This module is pure. The trainer builds networks
//! from layers.

mod fault;
mod language;
mod reading;
mod reference;
mod shape;
mod template;
mod value;
mod want;

pub use fault::{Example, Fault, Step};
pub use shape::{Extent, Row, Shape, ShapeFault, Summary, same_padding, shapes};
pub use template::{PRESETS, Template};
