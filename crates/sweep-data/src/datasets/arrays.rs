//! `arrays`: images and labels as NumPy arrays, under the names that Keras and others use.

use std::path::Path;

use super::archive::{Archive, Array, damaged, tuple};
use super::npy::{Header, Kind};
use super::scale::{Range, Scale};
use super::{Dataset, Images, Info, OWN_SCRIPT, fault, room};
use crate::network::Shape;
use sweep_core::error::Error;
use sweep_core::recipe::Order;

/// Names of the training images and labels. The first pair that exists is used.
const TRAIN: [(&str, &str); 4] = [("x_train", "y_train"), ("x", "y"), ("images", "labels"), ("data", "labels")];
/// Names of the test images and labels, which are optional.
const TEST: (&str, &str) = ("x_test", "y_test");
/// Usual numbers of channels: gray, gray with alpha, color, color with alpha.
const USUAL_CHANNELS: std::ops::RangeInclusive<u64> = 1..=4;

/// Reads headers and labels, and the images if they are not bytes, because their range determines how they are scaled.
pub(super) fn describe(path: &Path, order: Order) -> Result<Info, Error> {
    Ok(Survey::of(&mut Archive::open(path)?, path, order)?.info)
}

/// Reads the whole dataset.
pub(super) fn load(path: &Path, order: Order) -> Result<Dataset, Error> {
    let mut archive = Archive::open(path)?;
    let survey = Survey::of(&mut archive, path, order)?;
    let train = pixels(archive.array(survey.train.name)?, order, survey.range)?;
    let train = Images { pixels: train, labels: survey.train.labels };
    let test = match survey.test {
        Some(part) => Images { pixels: pixels(archive.array(part.name)?, order, survey.range)?, labels: part.labels },
        None => Images::default(),
    };
    Ok(Dataset { info: survey.info, train, validation: Images::default(), test, white: 255.0 })
}

/// What is known before the pixels are read.
struct Survey {
    info: Info,
    train: Part,
    test: Option<Part>,
    /// The range of all images. Test images mean the same as training images.
    range: Range,
}

/// The training images or the test images.
struct Part {
    /// Name of the image array.
    name: &'static str,
    labels: Vec<u8>,
}

impl Survey {
    fn of(archive: &mut Archive, path: &Path, order: Order) -> Result<Survey, Error> {
        let names = archive.names()?;
        let has = |name: &str| names.iter().any(|known| known == name);
        let Some((x, y)) = TRAIN.into_iter().find(|(x, y)| has(x) && has(y)) else {
            let rule = match names.as_slice() {
                [] => "has no arrays".to_owned(),
                names => format!("has the arrays {}, but no pair of images and labels", names.join(", ")),
            };
            let remedy = "name the arrays x_train and y_train (and x_test, y_test), x and y, or images and labels";
            return Err(fault(path.display(), rule, remedy));
        };
        let (shape, train) = part(archive, x, y, order)?;
        let test = match (has(TEST.0), has(TEST.1)) {
            (false, false) => None,
            (true, true) => {
                let (test_shape, test) = part(archive, TEST.0, TEST.1, order)?;
                if test_shape != shape {
                    let rule = format!(
                        "its images are {test_shape}, but those of {x} are {shape} (channels x height x width)"
                    );
                    return Err(fault(format!("{}: {}", path.display(), TEST.0), rule, "give both the same shape"));
                }
                Some(test)
            }
            (x_test, _) => {
                let (is, lacks) = if x_test { TEST } else { (TEST.1, TEST.0) };
                let rule = format!("has {is}, but no {lacks}");
                return Err(fault(path.display(), rule, "add it, or remove both"));
            }
        };
        let test_labels = test.as_ref().map_or(&[][..], |part| &part.labels);
        let classes = classes(&format!("{}: {y}", path.display()), &train.labels, test_labels)?;
        let (n, tests) = (train.labels.len() as u64, test_labels.len() as u64);
        let mut range = scan(archive.array(x)?)?;
        if test.is_some() {
            range = range.with(scan(archive.array(TEST.0)?)?);
        }
        let kind = archive.array(x)?.header.kind;
        let notes = Scale::of(kind, range).note(x, range).into_iter().collect();
        let info = Info { shape, classes, train: n, validation: 0, test: tests, notes };
        Ok(Survey { info, train, test, range })
    }
}

/// Returns the names of the classes, which are their numbers. Every class must have a training image.
fn classes(place: &str, train: &[u8], test: &[u8]) -> Result<Vec<String>, Error> {
    let last = train.iter().chain(test).max().copied().unwrap_or_default();
    let mut seen = [false; super::MOST_CLASSES];
    train.iter().for_each(|label| seen[usize::from(*label)] = true);
    match (0..=last).find(|label| !seen[usize::from(*label)]) {
        None if last > 0 => Ok((0..=last).map(|label| label.to_string()).collect()),
        None => Err(fault(place, "all labels are 0, so there is only one class", "number the classes from 0")),
        Some(label) => {
            let rule = format!("labels go up to {last}, but no training image has the label {label}");
            let remedy = "number the classes from 0 without gaps: np.unique(y, return_inverse=True)[1]";
            Err(fault(place, rule, remedy))
        }
    }
}

fn part(archive: &mut Archive, x: &'static str, y: &'static str, order: Order) -> Result<(Shape, Part), Error> {
    let images = archive.array(x)?;
    let (count, shape) = layout(&images.place, &images.header, order)?;
    drop(images);
    let labels = archive.array(y)?;
    let place = labels.place.clone();
    let labels = read_labels(labels)?;
    if labels.len() as u64 != count {
        let rule = format!("has {} labels, but {x} has {count} images", labels.len());
        return Err(fault(place, rule, "save both again, from the same images in the same order"));
    }
    Ok((shape, Part { name: x, labels }))
}

/// Returns the number of images in an array and their shape.
fn layout(place: &str, header: &Header, order: Order) -> Result<(u64, Shape), Error> {
    let written = tuple(&header.shape);
    let (count, [channels, height, width]) = match (header.shape.as_slice(), order) {
        (&[n, h, w], _) => (n, [1, h, w]),
        (&[n, c, h, w], Order::Nchw) => (n, [c, h, w]),
        (&[n, h, w, c], Order::Nhwc) => (n, [c, h, w]),
        _ => {
            let rule = format!("its shape is {written}, but images must have 3 axes (count, height, width) or 4");
            return Err(fault(
                place,
                rule,
                "restore the shape of flattened images, for example with x.reshape(-1, 28, 28)",
            ));
        }
    };
    let (other, elsewhere) = match order {
        Order::Nchw => ("nhwc", width),
        Order::Nhwc => ("nchw", height),
    };
    let is = if order == Order::Nchw { "nchw" } else { "nhwc" };
    if !USUAL_CHANNELS.contains(&channels) && USUAL_CHANNELS.contains(&elsewhere) {
        let rule = format!("read as {is}, its shape {written} gives {channels} channels");
        let remedy = format!("write `order: {other}` under `data:`; do not convert the order with reshape");
        return Err(fault(place, rule, remedy));
    }
    let axis = |size: u64| u32::try_from(size).ok().filter(|size| *size > 0);
    match (count > 0, axis(channels), axis(height), axis(width)) {
        (true, Some(channels), Some(height), Some(width)) => Ok((count, Shape { channels, height, width })),
        _ => Err(fault(place, format!("its shape is {written}, so it is empty"), "save it again")),
    }
}

/// Reads integer labels from 0 to 255 with shape `[n]` or `[n, 1]`.
fn read_labels(mut array: Array<'_>) -> Result<Vec<u8>, Error> {
    let (place, header) = (array.place, array.header);
    match header.shape.as_slice() {
        [_] | [_, 1] => {}
        [_, classes] => {
            let rule = format!("its shape is {}, with {classes} numbers per image", tuple(&header.shape));
            let remedy =
                format!("if each row is one-hot, save class numbers: np.argmax(y, axis=1). Otherwise: {OWN_SCRIPT}");
            return Err(fault(place, rule, remedy));
        }
        _ => {
            let rule = format!("its shape is {}, but labels must have one axis", tuple(&header.shape));
            return Err(fault(place, rule, "save one number per image"));
        }
    }
    if matches!(header.kind, Kind::Float | Kind::Boolean) {
        let remedy =
            format!("if they are class numbers, save them as integers: y.astype(\"uint8\"). Otherwise: {OWN_SCRIPT}");
        return Err(fault(place, "its labels are not integers", remedy));
    }
    let mut labels = Vec::new();
    header
        .values(&mut array.reader, |value| {
            if !(0.0..=255.0).contains(&value) {
                let rule = format!("the label of image {} is {value}, but labels must be 0 to 255", labels.len());
                return Err(Broken::Rule(rule));
            }
            labels.push(value as u8);
            Ok(())
        })
        .map_err(|broken| {
            let remedy = "if they are classes, number them from 0: np.unique(y, return_inverse=True)[1]. Otherwise:";
            broken.at(&place, &format!("{remedy} {OWN_SCRIPT}"))
        })?;
    Ok(labels)
}

/// Returns the range of an array's values. Bytes are not read.
fn scan(mut array: Array<'_>) -> Result<Range, Error> {
    let (place, header) = (array.place, array.header);
    if header.are_bytes() {
        return Ok(Range::BYTES);
    }
    let (mut range, mut index) = (Range::EMPTY, 0_u64);
    let read = header.values(&mut array.reader, |value| {
        if !value.is_finite() {
            let rule = format!("value {index}, counted from 0 in file order, is {value}, but pixels must be finite");
            return Err(Broken::Rule(rule));
        }
        range.add(value);
        index += 1;
        Ok(())
    });
    read.map_err(|broken: Broken| broken.at(&place, "replace the value, for example with np.nan_to_num(x)"))?;
    Ok(range)
}

/// Reads the array's images as `[n, c, h, w]` bytes, given the range of all images.
fn pixels(mut array: Array<'_>, order: Order, range: Range) -> Result<Vec<u8>, Error> {
    let (place, header) = (array.place, array.header);
    let (count, shape) = layout(&place, &header, order)?;
    let mut bytes = room(&place, header.elements())?;
    if header.are_bytes() {
        header.bytes(&mut array.reader, &mut bytes).map_err(|error| damaged(&place, error))?;
    } else {
        let scale = Scale::of(header.kind, range);
        let read = header.values(&mut array.reader, |value| {
            bytes.push(scale.byte(value));
            Ok(())
        });
        read.map_err(|broken: Broken| broken.at(&place, "save the array again"))?;
    }
    Ok(arranged(bytes, count, shape, order, &header))
}

/// Reorders the bytes from the file's axes and memory order to `[n, c, h, w]`.
fn arranged(bytes: Vec<u8>, count: u64, shape: Shape, order: Order, header: &Header) -> Vec<u8> {
    let count = usize::try_from(count).expect("so many images are in memory");
    let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|side| side as usize);
    let gray = header.shape.len() == 3;
    if !header.fortran && (gray || order == Order::Nchw || channels == 1) {
        return bytes;
    }
    // The file's axes, as indices into [n, c, h, w].
    let axes: &[usize] = match order {
        _ if gray => &[0, 2, 3],
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

/// The reason why reading values stopped.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::npy::tests::npy;
    use super::*;

    /// Creates a folder of `.npy` files.
    fn folder(arrays: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        arrays.iter().for_each(|(name, file)| fs::write(folder.path().join(format!("{name}.npy")), file).unwrap());
        folder
    }

    /// Returns an `.npz` file as written by np.savez_compressed.
    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, file) in arrays {
            zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(file).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Two images with 2 channels, 1 high and 2 wide, as [n, c, h, w].
    const IMAGES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn labels(labels: &[u8]) -> (&'static str, Vec<u8>) {
        ("y", npy("|u1", false, &format!("({},)", labels.len()), labels))
    }

    /// Loads the dataset with these images `x` and two labels.
    fn read(x: Vec<u8>, order: Order) -> Result<Dataset, Error> {
        let folder = folder(&[("x", x), labels(&[0, 1])]);
        let described = describe(folder.path(), order);
        let loaded = load(folder.path(), order);
        if let Ok(dataset) = &loaded {
            assert_eq!(described.unwrap(), dataset.info);
        }
        loaded
    }

    #[test]
    fn every_order_of_axes_and_memory_comes_to_the_same_images() {
        let nchw = npy("|u1", false, "(2, 2, 1, 2)", &IMAGES);
        let nhwc = npy("|u1", false, "(2, 1, 2, 2)", &[1, 3, 2, 4, 5, 7, 6, 8]);
        let nchw_fortran = npy("|u1", true, "(2, 2, 1, 2)", &[1, 5, 3, 7, 2, 6, 4, 8]);
        let nhwc_fortran = npy("|u1", true, "(2, 1, 2, 2)", &[1, 5, 2, 6, 3, 7, 4, 8]);
        for (x, order) in
            [(nchw, Order::Nchw), (nhwc, Order::Nhwc), (nchw_fortran, Order::Nchw), (nhwc_fortran, Order::Nhwc)]
        {
            let dataset = read(x, order).unwrap();
            assert_eq!(dataset.info.shape, Shape { channels: 2, height: 1, width: 2 });
            assert_eq!(dataset.train, Images { pixels: IMAGES.to_vec(), labels: vec![0, 1] });
        }
    }

    #[test]
    fn three_axes_are_grey_images_in_either_order() {
        for order in [Order::Nchw, Order::Nhwc] {
            let c = read(npy("|u1", false, "(2, 2, 2)", &IMAGES), order).unwrap();
            let fortran = read(npy("|u1", true, "(2, 2, 2)", &[1, 5, 3, 7, 2, 6, 4, 8]), order).unwrap();
            assert_eq!(c.info.shape, Shape { channels: 1, height: 2, width: 2 });
            assert_eq!(c.train.pixels, IMAGES);
            assert_eq!(fortran, c);
        }
    }

    #[test]
    fn floats_are_shares_of_white_whole_bytes_or_any_range_that_is_told() {
        let read = |values: &[f32]| read(npy("<f4", false, "(2, 1, 2)", &floats(values)), Order::Nhwc);
        let pixels = |values: &[f32]| {
            let dataset = read(values).unwrap();
            (dataset.train.pixels, dataset.info.notes.join(""))
        };
        assert_eq!(pixels(&[0.0, 1.0, 0.5, 0.2]), (vec![0, 255, 128, 51], String::new()));
        assert_eq!(pixels(&[0.0, 1.0, 1.0, 0.0]), (vec![0, 255, 255, 0], String::new()));
        // These are bytes, which only the third value shows.
        assert_eq!(pixels(&[0.0, 1.0, 200.0, 1.0]), (vec![0, 1, 200, 1], String::new()));
        let (rounded, note) = pixels(&[0.0, 200.0, 0.6, 0.0]);
        assert!(rounded == [0, 200, 1, 0] && note == "x has fractions, which were rounded to 0 to 255", "{note}");
        let (standardized, note) = pixels(&[-2.0, 0.0, 2.0, 1.0]);
        assert_eq!(standardized, [0, 128, 255, 191]);
        assert!(note.starts_with("x has values from -2.0000 to 2.0000, which were mapped linearly"), "{note}");
        for value in [f32::NAN, f32::INFINITY] {
            let error = read(&[0.0, value, 1.0, 0.0]).unwrap_err().to_string();
            assert!(
                error.contains("value 1, counted from 0 in file order, is ") && error.contains("hint: "),
                "{error}"
            );
        }
        // The planner reads as far as the trainer does.
        let nan =
            folder(&[("x", npy("<f4", false, "(2, 1, 2)", &floats(&[0.0, f32::NAN, 0.0, 0.0]))), labels(&[0, 1])]);
        assert!(describe(nan.path(), Order::Nhwc).is_err());
    }

    #[test]
    fn test_images_mean_the_same_as_training_images() {
        let part = |values: &[f32]| npy("<f4", false, "(2, 1, 2)", &floats(values));
        let set = |train: &[f32], test: &[f32]| {
            let two = labels(&[0, 1]).1;
            let arrays = [("x_train", part(train)), ("y_train", two.clone()), ("x_test", part(test)), ("y_test", two)];
            let file = tempfile::NamedTempFile::with_suffix(".npz").unwrap();
            fs::write(file.path(), npz(&arrays)).unwrap();
            load(file.path(), Order::Nhwc).unwrap()
        };
        assert_eq!(set(&[0.0, 1.0, 200.0, 1.0], &[0.0, 1.0, 1.0, 1.0]).test.pixels, [0, 1, 1, 1]);
        let wider = set(&[0.0, 1.0, 0.0, 1.0], &[-1.0, 1.0, 0.0, 0.0]);
        assert_eq!((wider.train.pixels[0], wider.test.pixels[0]), (128, 0));
    }

    #[test]
    fn labels_may_be_wide_and_in_a_column() {
        let x = ("images", npy("|u1", false, "(2, 2, 2)", &IMAGES));
        let y = ("labels", npy("<i8", false, "(2, 1)", &[[0; 8], 1_i64.to_le_bytes()].concat()));
        let dataset = load(folder(&[x, y]).path(), Order::Nhwc).unwrap();
        assert_eq!(dataset.train.labels, [0, 1]);
        assert_eq!(dataset.info.classes, ["0", "1"]);
    }

    #[test]
    fn a_shape_that_contradicts_the_order_proposes_the_other() {
        let cases = [
            (Order::Nchw, "(2, 32, 32, 3)", "read as nchw, its shape (2, 32, 32, 3) gives 32 channels", "order: nhwc"),
            (Order::Nhwc, "(2, 3, 32, 32)", "read as nhwc, its shape (2, 3, 32, 32) gives 32 channels", "order: nchw"),
        ];
        for (order, shape, rule, remedy) in cases {
            let error = read(npy("|u1", false, shape, &[0; 6144]), order).unwrap_err().to_string();
            assert!(error.contains(rule) && error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_array_and_what_to_do() {
        let x = || ("x", npy("|u1", false, "(2, 2, 2)", &IMAGES));
        let y = |file| ("y", file);
        let cases = [
            (vec![x()], "has the arrays x, but no pair of images and labels"),
            (vec![], "has no arrays"),
            (vec![x(), labels(&[0, 1, 1])], "y.npy: has 3 labels, but x has 2 images"),
            (vec![x(), labels(&[0, 2])], "y: labels go up to 2, but no training image has the label 1"),
            (vec![x(), labels(&[1, 2])], "no training image has the label 0"),
            (vec![x(), labels(&[0, 0])], "all labels are 0"),
            (vec![x(), y(npy("<i2", false, "(2,)", &[0, 0, 0, 1]))], "the label of image 1 is 256"),
            (vec![x(), y(npy("|i1", false, "(2,)", &[0, 0xff]))], "the label of image 1 is -1"),
            (vec![x(), y(npy("<f4", false, "(2,)", &[0; 8]))], "its labels are not integers"),
            (vec![x(), y(npy("|u1", false, "(2, 10)", &[0; 20]))], "(2, 10), with 10 numbers per image"),
            (vec![("x", npy("|u1", false, "(2, 4)", &IMAGES)), labels(&[0, 1])], "images must have 3 axes"),
            (vec![("x", npy("|u1", false, "(0, 2, 2)", &[])), labels(&[0, 1])], "so it is empty"),
            (vec![("x", npy("|u1", false, "(2, 2, 2)", &IMAGES[..7])), labels(&[0, 1])], "x.npy: truncated"),
            (
                vec![("x", npy("|u1", false, "(9999999999, 9999999999, 2)", &[])), labels(&[0, 1])],
                "too few for an array of shape (9999999999, 9999999999, 2)",
            ),
            (vec![x(), labels(&[0, 1]), ("x_test", npy("|u1", false, "(1, 2, 2)", &[0; 4]))], "x_test, but no y_test"),
        ];
        for (arrays, expected) in cases {
            let error = load(folder(&arrays).path(), Order::Nhwc).unwrap_err();
            assert_eq!(error.exit, sweep_core::error::Exit::BadData);
            assert!(error.to_string().contains(expected) && error.to_string().contains("hint: "), "{error}");
        }
        let alone = folder(&[x()]).path().join("x.npy");
        assert!(load(&alone, Order::Nhwc).unwrap_err().to_string().contains("cannot be read"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn a_damaged_npz_is_an_error_or_whole_but_never_a_panic(
            cut in 0.0..1.0_f64, places in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4)
        ) {
            let mut bytes = npz(&[("x", npy("|u1", false, "(2, 2, 2)", &IMAGES)), labels(&[0, 1])]);
            let file = tempfile::NamedTempFile::with_suffix(".npz").unwrap();
            fs::write(file.path(), &bytes[..(cut * bytes.len() as f64) as usize]).unwrap();
            prop_assert!(load(file.path(), Order::Nhwc).is_err());
            for (at, byte) in places {
                let place = (at * bytes.len() as f64) as usize;
                bytes[place] = byte;
            }
            fs::write(file.path(), &bytes).unwrap();
            let _ = load(file.path(), Order::Nhwc);
        }
    }
}
