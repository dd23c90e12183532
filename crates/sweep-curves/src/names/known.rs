//! What names say, found out once for each. Every line of a log repeats the names of the line before.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::{Target, words};

/// Maximum number of names that are kept. Names may be made of numbers, so there may be one a line.
const MOST: usize = 4096;

/// Answers that follow from a name alone, as far as they were asked.
#[derive(Debug, Default)]
pub struct Name {
    pub words: Rc<[String]>,
    pub meaning: OnceCell<Option<(Target, u32)>>,
    pub part: OnceCell<Option<&'static str>>,
    pub heading: OnceCell<Option<&'static str>>,
    pub quantity: OnceCell<Option<&'static str>>,
    pub score: OnceCell<Option<usize>>,
    pub is_metric: OnceCell<bool>,
    pub is_measured: OnceCell<bool>,
}

thread_local! {
    /// A cache of the functions on names. Each answer depends on its name and on nothing else, so it does not matter which
    /// file asked first, and every thread may have its own.
    static KNOWN: RefCell<HashMap<Box<str>, Rc<Name>>> = RefCell::default();
}

/// The answers about a name.
pub fn known(name: &str) -> Rc<Name> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(found) = known.get(name) {
            return Rc::clone(found);
        }
        if known.len() == MOST {
            known.clear();
        }
        let found = Rc::new(Name { words: words::split(name).into(), ..Name::default() });
        known.insert(name.into(), Rc::clone(&found));
        found
    })
}
