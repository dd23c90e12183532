//! Decodes one image file into planes of bytes.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::U8x3;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage, metadata::Orientation};

use super::notes::Reason;
use sweep_core::recipe::{Fit, Resize};

/// Formats that are read.
const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];
/// Maximum number of pixels of a file. A damaged header may contain any number.
const MOST_PIXELS: u64 = 64 << 20;
/// Images with more pixels than this are decoded one at a time, which bounds the memory.
const MANY_PIXELS: u64 = 8 << 20;

/// Held while an image with many pixels is decoded.
static LARGE: Mutex<()> = Mutex::new(());

/// Properties of a file that are lost in the conversion to bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Width and height as seen, in pixels.
    pub size: (u32, u32),
    /// Whether the file has color.
    pub color: bool,
    /// Whether it has transparent pixels.
    pub transparent: bool,
    /// Whether its values have more than 8 bits.
    pub wide: bool,
    /// Whether its colors are cyan, magenta, yellow and black.
    pub cmyk: bool,
    /// Whether it was rotated or mirrored, as its EXIF data says.
    pub turned: bool,
}

/// The size that an image is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// Width and height, in pixels.
    pub size: (u32, u32),
    pub fit: Fit,
}

impl From<Resize> for Target {
    fn from(resize: Resize) -> Target {
        Target { size: (resize.side, resize.side), fit: resize.fit }
    }
}

/// Why a file is not an image, with the decoder's message.
pub(super) type Trouble = (Reason, String);

/// Returns the facts from the header of a file.
pub(super) fn header(bytes: &[u8]) -> Result<Facts, Trouble> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    let size = if is_lying(orientation) { (height, width) } else { (width, height) };
    let color = decoder.color_type();
    let wide = color.bytes_per_pixel() > color.channel_count();
    let turned = orientation != Orientation::NoTransforms;
    Ok(Facts { size, color: color.has_color(), transparent: false, wide, cmyk: is_cmyk(bytes, &decoder), turned })
}

/// Returns three planes of bytes, resized, and the properties that were lost. Transparent pixels are drawn over white.
pub(super) fn decode(bytes: &[u8], target: Option<Target>) -> Result<(Vec<u8>, Facts), Trouble> {
    let mut facts = header(bytes)?;
    let many = u64::from(facts.size.0) * u64::from(facts.size.1) > MANY_PIXELS;
    let _alone = many.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    if is_cut_short(bytes) {
        return Err((Reason::Undecodable, "the end of the JPEG is missing".to_owned()));
    }
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    image.apply_orientation(orientation);
    let image = if image.color().has_alpha() {
        let (image, transparent) = over_white(image);
        facts.transparent = transparent;
        image
    } else {
        image.into_rgb8()
    };
    let image = match target {
        Some(target) => resized(image, target),
        None => image,
    };
    let raw = image.as_raw();
    let planes = (0..3).flat_map(|channel| raw.iter().skip(channel).step_by(3).copied()).collect();
    Ok((planes, facts))
}

fn is_lying(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Returns a decoder that has read the header. The first bytes determine the format, not the name.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + use<'_>, Trouble> {
    if bytes.is_empty() {
        return Err((Reason::Undecodable, "the file is empty".to_owned()));
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().expect("bytes in memory can be read");
    if !reader.format().is_some_and(|format| FORMATS.contains(&format)) {
        return Err((Reason::Undecodable, "the content is not an image of a known format".to_owned()));
    }
    let decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    match u64::from(width) * u64::from(height) {
        0 => Err((Reason::Undecodable, "it has no pixels".to_owned())),
        pixels if pixels > MOST_PIXELS => Err((Reason::TooLarge, format!("{width}x{height} pixels"))),
        _ => Ok(decoder),
    }
}

fn undecodable(error: image::ImageError) -> Trouble {
    (Reason::Undecodable, error.to_string())
}

/// Returns whether the colors of a JPEG have four components, or the decoder reports CMYK.
fn is_cmyk(bytes: &[u8], decoder: &impl ImageDecoder) -> bool {
    decoder.original_color_type() == image::ExtendedColorType::Cmyk8 || jpeg_components(bytes) == Some(4)
}

/// Returns the number of color components in a JPEG's frame header.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    loop {
        let (&marker, length) = (rest.get(1)?, u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        // C4, C8 and CC are tables and extensions; the other markers from C0 to CF begin a frame.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return rest.get(9).copied();
        }
        rest = rest.get(2 + usize::from(length)..)?;
    }
}

/// Returns whether the end of a JPEG is missing, which its decoder would fill with gray. Within a scan, the byte 0xff
/// is never followed by the second byte of these markers. In a complete file, the last end-of-image marker is therefore
/// after the last start of scan.
fn is_cut_short(bytes: &[u8]) -> bool {
    let last = |marker: &[u8]| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(b"\xff\xd8") && last(b"\xff\xd9") < last(b"\xff\xda")
}

/// Draws the image over white. Returns whether that changed anything.
fn over_white(image: DynamicImage) -> (RgbImage, bool) {
    let image = image.into_rgba8();
    let mut transparent = false;
    let mut drawn = RgbImage::new(image.width(), image.height());
    for (to, from) in drawn.pixels_mut().zip(image.pixels()) {
        let [.., alpha] = from.0;
        transparent |= alpha < 255;
        let over = |value: u8| (u16::from(value) * u16::from(alpha) + 255 * (255 - u16::from(alpha)) + 127) / 255;
        to.0 = [from.0[0], from.0[1], from.0[2]].map(|value| over(value) as u8);
    }
    (drawn, transparent)
}

/// Resizes with the same antialiased linear interpolation as Pillow and torchvision.
fn resized(image: RgbImage, target: Target) -> RgbImage {
    let (width, height) = image.dimensions();
    let (to_width, to_height) = match target.fit {
        Fit::Crop | Fit::Stretch => target.size,
        Fit::Pad => within((width, height), target.size),
    };
    let mut options =
        fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear)).use_alpha(false);
    if target.fit == Fit::Crop {
        options = options.fit_into_destination(Some((0.5, 0.5)));
    }
    // One type of pixel alone: the untyped images would compile the resizing of all types.
    let from = TypedImageRef::<U8x3>::from_buffer(width, height, image.as_raw()).expect("three bytes a pixel");
    let mut bytes = vec![0; 3 * to_width as usize * to_height as usize];
    let mut to = TypedImage::<U8x3>::from_buffer(to_width, to_height, &mut bytes).expect("three bytes a pixel");
    fir::Resizer::new().resize_typed(&from, &mut to, &options).expect("both images have pixels");
    let scaled = RgbImage::from_raw(to_width, to_height, bytes).expect("three bytes a pixel");
    if (to_width, to_height) == target.size {
        return scaled;
    }
    let mut framed = RgbImage::new(target.size.0, target.size.1);
    let (x, y) = ((target.size.0 - to_width) / 2, (target.size.1 - to_height) / 2);
    image::imageops::replace(&mut framed, &scaled, x.into(), y.into());
    framed
}

/// Returns the largest size with these proportions that fits.
fn within((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> (u32, u32) {
    let scaled =
        |length: u32, by: u32, of: u32| ((f64::from(length) * f64::from(by) / f64::from(of)).round() as u32).max(1);
    match u64::from(width) * u64::from(most_height) >= u64::from(height) * u64::from(most_width) {
        true => (most_width, scaled(height, most_width, width).min(most_height)),
        false => (scaled(width, most_height, height).min(most_width), most_height),
    }
}
