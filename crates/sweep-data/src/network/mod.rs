//! Networks: the language of a sweep file's `model:`, the presets in it, and what is known of a network before
//! training.
//!
//! A [`Template`] has references to settings in it; [`Template::layers`] resolves them into the layers of a recipe;
//! [`shapes`] follows a picture through those. Pure; building a network from layers is the trainer's matter.

mod fault;
mod language;
mod reading;
mod reference;
mod shape;
mod template;
mod value;
mod want;

pub use fault::{Fault, Step};
pub use shape::{Extent, Row, Shape, ShapeFault, Summary, same_padding, shapes};
pub use template::{PRESETS, Template};
