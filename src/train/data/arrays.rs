//! `arrays`: pictures and labels as NumPy arrays, under the names that Keras and others give them.

use std::path::Path;

use super::archive::{Archive, Array, damaged, tuple};
use super::npy::{Header, Kind};
use super::{Dataset, Info, Pictures, fault, room};
use crate::error::Error;
use crate::recipe::Order;
use crate::train::model::Shape;

/// Pictures and labels to train on; the first pair that is there counts.
const TRAIN: [(&str, &str); 4] = [("x_train", "y_train"), ("x", "y"), ("images", "labels"), ("data", "labels")];
/// To test on; may be missing.
const TEST: (&str, &str) = ("x_test", "y_test");
/// Channels that pictures usually have: grey, with alpha, colour, with alpha.
const USUAL_CHANNELS: std::ops::RangeInclusive<u64> = 1..=4;

/// Headers and labels.
pub(super) fn probe(path: &Path, order: Order) -> Result<Info, Error> {
    Ok(Survey::of(&mut Archive::open(path)?, path, order)?.info)
}

/// Everything.
pub(super) fn load(path: &Path, order: Order) -> Result<Dataset, Error> {
    let mut archive = Archive::open(path)?;
    let survey = Survey::of(&mut archive, path, order)?;
    let mut scale = None;
    let train = pixels(archive.array(survey.train.name)?, order, &mut scale)?;
    let train = Pictures { pixels: train, labels: survey.train.labels };
    let test = match survey.test {
        Some(part) => Pictures { pixels: pixels(archive.array(part.name)?, order, &mut scale)?, labels: part.labels },
        None => Pictures::default(),
    };
    Ok(Dataset { info: survey.info, train, test, white: 255.0 })
}

/// What is known before the pixels are read.
struct Survey {
    info: Info,
    train: Part,
    test: Option<Part>,
}

/// Pictures to train on, or to test on.
struct Part {
    /// Of the array of pictures.
    name: &'static str,
    labels: Vec<u8>,
}

impl Survey {
    fn of(archive: &mut Archive, path: &Path, order: Order) -> Result<Survey, Error> {
        let names = archive.names()?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let Some((x, y)) = TRAIN.into_iter().find(|(x, y)| has(x) && has(y)) else {
            let rule = match names.as_slice() {
                [] => "it has no arrays".to_owned(),
                names => format!("its arrays are {}, and no two of them are pictures and labels", names.join(", ")),
            };
            let remedy = "name them x_train and y_train (and x_test, y_test), x and y, or images and labels";
            return Err(fault(path.display(), rule, remedy));
        };
        let (shape, train) = part(archive, x, y, order)?;
        let test = match (has(TEST.0), has(TEST.1)) {
            (false, false) => None,
            (true, true) => {
                let (test_shape, test) = part(archive, TEST.0, TEST.1, order)?;
                if test_shape != shape {
                    let rule =
                        format!("its pictures are {test_shape}, those of {x} {shape} (channels x height x width)");
                    return Err(fault(format!("{}: {}", path.display(), TEST.0), rule, "make them alike"));
                }
                Some(test)
            }
            (x_test, _) => {
                let (is, lacks) = if x_test { TEST } else { (TEST.1, TEST.0) };
                let rule = format!("there is {is}, but no {lacks}");
                return Err(fault(path.display(), rule, "add it, or leave both out"));
            }
        };
        let test_labels = test.as_ref().map_or(&[][..], |part| &part.labels);
        let classes = classes(&format!("{}: {y}", path.display()), &train.labels, test_labels)?;
        let (n, tests) = (train.labels.len() as u64, test_labels.len() as u64);
        Ok(Survey { info: Info { shape, classes, train: n, test: tests }, train, test })
    }
}

/// Names of the classes, which are their numbers. Each has a picture to train on.
fn classes(place: &str, train: &[u8], test: &[u8]) -> Result<Vec<String>, Error> {
    let last = train.iter().chain(test).max().copied().unwrap_or_default();
    let mut seen = [false; super::MOST_CLASSES];
    train.iter().for_each(|label| seen[usize::from(*label)] = true);
    match (0..=last).find(|label| !seen[usize::from(*label)]) {
        None if last > 0 => Ok((0..=last).map(|label| label.to_string()).collect()),
        None => Err(fault(place, "all labels are 0: there is one class only", "give every class a number, from 0")),
        Some(label) => {
            let rule = format!("labels go up to {last}, and no training picture has the label {label}");
            let remedy = "number the classes from 0 without a gap: np.unique(y, return_inverse=True)[1]";
            Err(fault(place, rule, remedy))
        }
    }
}

fn part(archive: &mut Archive, x: &'static str, y: &'static str, order: Order) -> Result<(Shape, Part), Error> {
    let pictures = archive.array(x)?;
    let (count, shape) = layout(&pictures.place, &pictures.header, order)?;
    drop(pictures);
    let labels = archive.array(y)?;
    let place = labels.place.clone();
    let labels = read_labels(labels)?;
    if labels.len() as u64 != count {
        let rule = format!("it has {} labels, and {x} has {count} pictures", labels.len());
        return Err(fault(place, rule, "write both again, from the same pictures in the same order"));
    }
    Ok((shape, Part { name: x, labels }))
}

/// How many pictures of which shape an array has.
fn layout(place: &str, header: &Header, order: Order) -> Result<(u64, Shape), Error> {
    let written = tuple(&header.shape);
    let (count, [channels, height, width]) = match (header.shape.as_slice(), order) {
        (&[n, h, w], _) => (n, [1, h, w]),
        (&[n, c, h, w], Order::Nchw) => (n, [c, h, w]),
        (&[n, h, w, c], Order::Nhwc) => (n, [c, h, w]),
        _ => {
            let rule = format!("its shape is {written}, and pictures have 3 axes (count, height, width) or 4");
            return Err(fault(place, rule, "reshape flat pictures to what they were: x.reshape(-1, 28, 28), say"));
        }
    };
    let (other, elsewhere) = match order {
        Order::Nchw => ("nhwc", width),
        Order::Nhwc => ("nchw", height),
    };
    let is = if order == Order::Nchw { "nchw" } else { "nhwc" };
    if !USUAL_CHANNELS.contains(&channels) && USUAL_CHANNELS.contains(&elsewhere) {
        let rule = format!("read as {is}, its shape {written} makes {channels} channels");
        let remedy = format!("write `order: {other}` under `data:`; never reshape one order into the other");
        return Err(fault(place, rule, remedy));
    }
    let axis = |size: u64| u32::try_from(size).ok().filter(|size| *size > 0);
    match (count > 0, axis(channels), axis(height), axis(width)) {
        (true, Some(channels), Some(height), Some(width)) => Ok((count, Shape { channels, height, width })),
        _ => Err(fault(place, format!("its shape is {written}: there is nothing in it"), "write it again")),
    }
}

/// `[n]` or `[n, 1]` whole numbers of 0 to 255.
fn read_labels(mut array: Array<'_>) -> Result<Vec<u8>, Error> {
    let (place, header) = (array.place, array.header);
    match header.shape.as_slice() {
        [_] | [_, 1] => {}
        [_, classes] => {
            let rule = format!("its shape is {}: {classes} numbers a picture", tuple(&header.shape));
            return Err(fault(place, rule, "write the class's number, np.argmax(y, axis=1)"));
        }
        _ => {
            let rule = format!("its shape is {}, and labels have one axis", tuple(&header.shape));
            return Err(fault(place, rule, "write one number a picture"));
        }
    }
    if matches!(header.kind, Kind::Float | Kind::Boolean) {
        return Err(fault(place, "its labels are no whole numbers", "write them as such: y.astype(\"uint8\")"));
    }
    let mut labels = Vec::new();
    header
        .values(&mut array.reader, |value| {
            if !(0.0..=255.0).contains(&value) {
                let rule = format!("the label of picture {} is {value}, and labels are 0 to 255", labels.len());
                return Err(Broken::Rule(rule));
            }
            labels.push(value as u8);
            Ok(())
        })
        .map_err(|broken| broken.at(&place, "number the classes from 0: np.unique(y, return_inverse=True)[1]"))?;
    Ok(labels)
}

/// What an array's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// 0 is black, 1 is white.
    Unit,
    /// 255 is white.
    Byte,
}

/// The array's pictures as `[n, c, h, w]` bytes. The first array that is read settles `scale` for the next.
fn pixels(mut array: Array<'_>, order: Order, scale: &mut Option<Scale>) -> Result<Vec<u8>, Error> {
    let (place, header) = (array.place, array.header);
    let (count, shape) = layout(&place, &header, order)?;
    let mut bytes = room(&place, header.elements())?;
    let mut meaning = Meaning::new(&header, *scale);
    let read = header.values(&mut array.reader, |value| {
        let byte =
            meaning.byte(value, &mut bytes).ok_or_else(|| Broken::Rule(meaning.complaint(value, bytes.len())))?;
        bytes.push(byte);
        Ok(())
    });
    let remedy = "write them as x.astype(\"uint8\") with 0 to 255, or as floats from 0 to 1, before any normalisation";
    read.map_err(|broken: Broken| broken.at(&place, remedy))?;
    *scale = Some(meaning.scale);
    Ok(arranged(bytes, count, shape, order, &header))
}

/// Numbers to bytes, in one pass: floats are taken for 0 to 1 until one is larger.
struct Meaning {
    scale: Scale,
    /// Whether `scale` can still turn out to be wrong: no value so far was larger than 1.
    open: bool,
    /// Whether all values so far were whole.
    whole: bool,
}

impl Meaning {
    fn new(header: &Header, settled: Option<Scale>) -> Meaning {
        match (header.kind, settled) {
            (Kind::Boolean, _) => Meaning { scale: Scale::Unit, open: false, whole: true },
            (Kind::Float, Some(scale)) => Meaning { scale, open: false, whole: true },
            (Kind::Float, None) => Meaning { scale: Scale::Unit, open: true, whole: true },
            (Kind::Unsigned | Kind::Signed, _) => Meaning { scale: Scale::Byte, open: false, whole: true },
        }
    }

    /// The byte of the next value, if it can have one. `before` is made right where the value settles the scale.
    fn byte(&mut self, value: f64, before: &mut [u8]) -> Option<u8> {
        let whole = value.fract() == 0.0;
        if self.open && value > 1.0 && whole && self.whole {
            // Only 0 and 1 so far, which were written as 0 and 255.
            before.iter_mut().for_each(|byte| *byte /= 255);
            (self.scale, self.open) = (Scale::Byte, false);
        }
        self.whole &= whole;
        match self.scale {
            Scale::Unit => (0.0..=1.0).contains(&value).then(|| (value * 255.0).round() as u8),
            Scale::Byte => ((0.0..=255.0).contains(&value) && whole).then_some(value as u8),
        }
    }

    fn complaint(&self, value: f64, index: usize) -> String {
        let rule = match (self.scale, self.open) {
            (_, true) => "pixels are floats from 0 to 1, or whole numbers from 0 to 255",
            (Scale::Unit, false) => "the pixels before are from 0 to 1",
            (Scale::Byte, false) => "the pixels are whole numbers from 0 to 255",
        };
        format!("value {index}, counted from 0 in the file's order, is {value}, and {rule}")
    }
}

/// From the file's axes, and their order in it, to `[n, c, h, w]`.
fn arranged(bytes: Vec<u8>, count: u64, shape: Shape, order: Order, header: &Header) -> Vec<u8> {
    let count = usize::try_from(count).expect("so many pictures are in memory");
    let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|side| side as usize);
    let grey = header.shape.len() == 3;
    if !header.fortran && (grey || order == Order::Nchw || channels == 1) {
        return bytes;
    }
    // The axes as the file has them, as places in [n, c, h, w].
    let axes: &[usize] = match order {
        _ if grey => &[0, 2, 3],
        Order::Nchw => &[0, 1, 2, 3],
        Order::Nhwc => &[0, 2, 3, 1],
    };
    let sizes = [count, channels, height, width];
    let mut steps = [0; 4];
    let mut step = 1;
    let mut fastest_first = axes.to_vec();
    if !header.fortran {
        fastest_first.reverse();
    }
    for axis in fastest_first {
        steps[axis] = step;
        step *= sizes[axis];
    }
    let mut arranged = Vec::with_capacity(bytes.len());
    for n in 0..count {
        for c in 0..channels {
            for h in 0..height {
                let row = n * steps[0] + c * steps[1] + h * steps[2];
                arranged.extend((0..width).map(|w| bytes[row + w * steps[3]]));
            }
        }
    }
    arranged
}

/// Why reading values stopped.
enum Broken {
    Read(std::io::Error),
    Rule(String),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Broken {
        Broken::Read(error)
    }
}

impl Broken {
    fn at(self, place: &str, remedy: &str) -> Error {
        match self {
            Broken::Read(error) => damaged(place, error),
            Broken::Rule(rule) => fault(place, rule, remedy),
        }
    }
}
