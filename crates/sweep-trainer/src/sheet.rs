//! A contact sheet of augmented images for visual inspection. Each row shows one image: first unchanged, then as
//! training sees it in successive epochs.

use std::path::Path;

use image::{RgbImage, imageops};
use tch::{Device, Kind, TchError, Tensor};

use super::augment::augmented;
use super::dataset::DatasetCache;
use super::fault::{Fault, Result};
use super::step_rng::StepRng;
use sweep_core::protocol::Sheet;

/// Number of images on a sheet.
const ROWS: u64 = 8;
/// Number of epochs shown per image.
const EPOCHS: u32 = 7;
/// Minimum side of an image on the sheet, in pixels.
const SIDE: u32 = 96;
/// Gap between images, in pixels.
const GAP: u32 = 4;

/// Draws the sheet.
///
/// # Errors
/// Returns an error if the images cannot be read or the file cannot be written.
pub fn draw(sheet: &Sheet) -> Result<()> {
    let mut cache = DatasetCache::new(Device::Cpu);
    let loaded = cache.get(&sheet.data.source)?;
    let split = loaded.split(&sheet.data, sheet.seed)?;
    let rows = &split.train_rows[..split.train_rows.len().min(ROWS as usize)];
    let part = split.train.part(rows)?;
    let images = |epoch: Option<u32>| {
        let (xs, _) = part.batch(0, ROWS)?;
        match epoch {
            None => Ok(xs),
            Some(epoch) => {
                let rng = StepRng::new(sheet.seed, sheet.trial.0, epoch, 0).seeded(Device::Cpu)?;
                augmented(xs, &sheet.data.augment, rng).map_err(Fault::from)
            }
        }
    };
    let mut canvas: Option<RgbImage> = None;
    for (column, epoch) in std::iter::once(None).chain((1..=EPOCHS).map(Some)).enumerate() {
        let bytes = bytes(&images(epoch)?)?;
        let [_, height, width, _] = bytes.size()[..].try_into().expect("images have four axes");
        let (height, width) = (height as u32, width as u32);
        let times = SIDE.div_ceil(height.max(width)).max(1);
        let (down, across) = (height * times + GAP, width * times + GAP);
        let size = ((EPOCHS + 1) * across + GAP, rows.len() as u32 * down + GAP);
        let canvas = canvas.get_or_insert_with(|| RgbImage::from_pixel(size.0, size.1, image::Rgb([255; 3])));
        for row in 0..rows.len() as u32 {
            let pixels = Vec::<u8>::try_from(bytes.get(row.into()).contiguous().view(-1))?;
            let image = RgbImage::from_raw(width, height, pixels).expect("three bytes a pixel");
            let image = imageops::resize(&image, width * times, height * times, imageops::FilterType::Nearest);
            let (x, y) = (GAP + column as u32 * across, GAP + row * down);
            imageops::replace(canvas, &image, x.into(), y.into());
        }
    }
    let canvas = canvas.expect("there is a first column");
    canvas.save(&sheet.file).map_err(|error| Fault::Unwritable(format!("{}: {error}", sheet.file.display())))
}

/// Number of images in a row of a grid.
const ACROSS: u32 = 5;

/// Draws images `f32 [b, c, h, w]` from 0 to 1 row by row.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn grid(xs: &Tensor, file: &Path) -> Result<()> {
    let bytes = bytes(xs)?;
    let [count, height, width, _] = bytes.size()[..].try_into().expect("images have four axes");
    let (count, height, width) = (count as u32, height as u32, width as u32);
    let times = SIDE.div_ceil(height.max(width)).max(1);
    let (down, across) = (height * times + GAP, width * times + GAP);
    let size = (ACROSS * across + GAP, count.div_ceil(ACROSS) * down + GAP);
    let mut canvas = RgbImage::from_pixel(size.0, size.1, image::Rgb([255; 3]));
    for at in 0..count {
        let pixels = Vec::<u8>::try_from(bytes.get(at.into()).contiguous().view(-1))?;
        let image = RgbImage::from_raw(width, height, pixels).expect("three bytes a pixel");
        let image = imageops::resize(&image, width * times, height * times, imageops::FilterType::Nearest);
        let (x, y) = (GAP + at % ACROSS * across, GAP + at / ACROSS * down);
        imageops::replace(&mut canvas, &image, x.into(), y.into());
    }
    canvas.save(file).map_err(|error| Fault::Unwritable(format!("{}: {error}", file.display())))
}

/// Converts images `f32 [b, c, h, w]` from 0 to 1 to bytes `u8 [b, h, w, 3]`. Images with one channel become gray.
fn bytes(xs: &Tensor) -> std::result::Result<Tensor, TchError> {
    let (images, _, height, width) = xs.size4()?;
    let xs = xs.f_narrow(1, 0, xs.size()[1].min(3))?.f_expand([images, 3, height, width], false)?;
    xs.f_clamp(0.0, 1.0)?
        .f_mul_scalar(255.0)?
        .f_round()?
        .f_to_kind(Kind::Uint8)?
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::recipe::{Augment, Data, Source, Validation};
    use sweep_core::trial::TrialId;

    #[test]
    fn a_sheet_shows_each_image_as_it_is_and_then_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sheet.png");
        let data = Data {
            split_seed: None,
            source: Source::Digits,
            validation: Validation::Share(0.5),
            train_examples: Some(10),
            augment: Augment { flip: true, crop: 2, ..Augment::default() },
            test: None,
            normalize: Default::default(),
        };
        draw(&Sheet { seed: 1, trial: TrialId(1), data: data.clone(), file: file.clone() }).unwrap();
        let drawn = image::open(&file).unwrap().to_rgb8();
        // Digits have 8 x 8 pixels, and each image is drawn with 96 x 96.
        assert_eq!(drawn.dimensions(), (8 * 100 + 4, 8 * 100 + 4));
        let image =
            |column: u32, row: u32| imageops::crop_imm(&drawn, 4 + column * 100, 4 + row * 100, 96, 96).to_image();
        let changed = (0..8).flat_map(|row| (1..8).map(move |column| (column, row)));
        assert!(changed.filter(|&(column, row)| image(column, row) != image(0, row)).count() > 45);
        assert!((1..8).all(|row| image(0, row) != image(0, 0)));

        let missing = folder.path().join("missing/sheet.png");
        let fault = draw(&Sheet { seed: 1, trial: TrialId(1), data, file: missing }).unwrap_err();
        assert!(fault.to_string().contains("sheet.png"), "{fault}");
    }
}
