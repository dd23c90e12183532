//! A folder with every kind of file that people have among their images.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Names of the classes, sorted.
pub const CLASSES: [&str; 3] = ["cats", "dogs", "vögel, klein"];
/// Number of usable images in each class.
pub const USABLE: [u64; 3] = [13, 11, 400];
/// What is said about the folder with `resize: 32`, in order.
pub const NOTES: [&str; 15] = [
    "2 skipped: hidden, because the name begins with a dot (.git, cats/.DS_Store)",
    "5 skipped: not an image, by the ending of the name (cats/README, cats/Thumbs.db, cats/notes.txt, …)",
    "2 skipped: an image format that is not read; convert it to JPEG or PNG to use it (dogs/logo.svg, dogs/phone.HEIC)",
    "1 skipped: in no class folder (root.png)",
    "1 skipped: a link to a file that does not exist (cats/gone.jpg)",
    "1 skipped: empty (dogs/zero.jpg)",
    "1 skipped: a folder nested too deeply, or a link to a folder that contains it (cats/loop)",
    "2 skipped: a folder without images, which is therefore not a class (empty, papers)",
    "images of 8x8 to 120x80 became 32x32: the shorter side was scaled, and the center kept; 403 were enlarged",
    "images that are gray, and used as color images with three equal channels: 3",
    "images that are transparent in parts, and drawn over white: 2",
    "images that are of more than 8 bits per value, and reduced to 8: 2",
    "images that are in CMYK, and converted to RGB without a color profile: 1",
    "images that are rotated or mirrored, as their EXIF data says: 1",
    "2 skipped: damaged (cats/cut.jpg: the end of the JPEG is missing, dogs/text.png: the content is not an image of a known \
     format)",
];

/// A picture whose red grows to the right and whose green grows downwards.
pub fn photo(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 2) as u8, (y * 2) as u8, 90])).into()
}

fn put(root: &Path, path: &str, image: &DynamicImage) {
    fs::create_dir_all(root.join(path).parent().expect("it has a folder")).expect("the folder is writable");
    image.save(root.join(path)).expect("the image can be written");
}

fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    fs::create_dir_all(root.join(path).parent().expect("it has a folder")).expect("the folder is writable");
    fs::write(root.join(path), content).expect("the folder is writable");
}

/// Writes the folder `images` into `root`, and what it links to beside it.
pub fn write_messy(root: &Path) {
    let images = root.join("images");
    cats(&images);
    dogs(&images, root);
    // Many usable images, because only 1% may be damaged.
    for number in 0..USABLE[2] {
        let image = RgbImage::from_fn(8, 8, |x, y| {
            Rgb([
                (x * 20) as u8 + (number % 100) as u8,
                (y * 20) as u8 + (number / 100) as u8 * 10,
                (number % 13) as u8,
            ])
        });
        put(&images, &format!("{}/{number}.bmp", CLASSES[2]), &image.into());
    }
    put(&images, "root.png", &photo(8, 8));
    fs::create_dir_all(images.join("empty/inner")).expect("the folder is writable");
    write(&images, "papers/paper.pdf", "pdf");
    write(&images, ".git/config", "x");
}

fn cats(images: &Path) {
    for (at, (width, height)) in [(120, 80), (80, 120), (64, 64), (20, 30), (300, 10)].into_iter().enumerate() {
        put(images, &format!("cats/photo{at}.jpg"), &photo(width, height));
    }
    put(images, "cats/kittens/a b/deep.JPEG", &photo(50, 50));
    put(images, "cats/lossless.webp", &photo(40, 60));
    put(images, "cats/windows.bmp", &photo(41, 60));
    put(images, "cats/scan.tiff", &photo(42, 60));
    put(images, "cats/sixteen.png", &DynamicImage::from(ImageBuffer::from_pixel(40, 40, Rgb([40_000_u16; 3]))));
    put(images, "cats/sixteen.tif", &DynamicImage::from(ImageBuffer::from_pixel(41, 40, Rgb([20_000_u16; 3]))));
    write(images, "cats/print.jpg", cmyk([255, 0, 0, 0], 48, 40));
    write(images, "cats/web.jpg", progressive(&photo(70, 50)));
    let whole = jpeg(&photo(60, 60));
    write(images, "cats/cut.jpg", &whole[..whole.len() - 20]);
    symlink("nowhere.jpg", images.join("cats/gone.jpg")).expect("the folder is writable");
    symlink(images, images.join("cats/loop")).expect("the folder is writable");
    write(images, "cats/README", "text");
    write(images, "cats/Thumbs.db", "x");
    write(images, "cats/notes.txt", "text");
    write(images, "cats/.DS_Store", "x");
}

fn dogs(images: &Path, root: &Path) {
    put(images, "dogs/alpha.png", &DynamicImage::from(RgbaImage::from_pixel(40, 40, Rgba([255, 0, 0, 0]))));
    write(images, "dogs/animated.gif", animated());
    put(images, "dogs/gray.png", &GrayImage::from_pixel(40, 77, Luma([77])).into());
    put(images, "dogs/grayalpha.png", &DynamicImage::from(ImageBuffer::from_pixel(40, 40, LumaA([0, 128_u8]))));
    put(images, "dogs/grayscale.jpg", &GrayImage::from_pixel(50, 40, Luma([177])).into());
    // The content decides the format.
    write(images, "dogs/misnamed.png", jpeg(&photo(33, 44)));
    write(images, "dogs/palette.png", palette());
    write(images, "dogs/turned.jpg", turned(&jpeg(&photo(60, 30))));
    symlink("../cats/photo0.jpg", images.join("dogs/linked.jpg")).expect("the folder is writable");
    put(root, "album/one.png", &photo(34, 34));
    put(root, "album/two.jpg", &photo(35, 35));
    symlink(root.join("album"), images.join("dogs/album")).expect("the folder is writable");
    write(images, "dogs/text.png", "no image");
    write(images, "dogs/zero.jpg", "");
    write(images, "dogs/labels.csv", "a,b");
    write(images, "dogs/phone.HEIC", "heic");
    write(images, "dogs/logo.svg", "<svg/>");
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).expect("it is written to memory");
    bytes.into_inner()
}

/// As for the web: progressive, and with a quarter of the colors.
pub fn progressive(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let (width, height) = (image.width() as u16, image.height() as u16);
    encoder.encode(image.to_rgb8().as_raw(), width, height, ColorType::Rgb).expect("it is written to memory");
    bytes
}

/// As for a printer, with one color.
pub fn cmyk(color: [u8; 4], width: u16, height: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = color.repeat(usize::from(width) * usize::from(height));
    Encoder::new(&mut bytes, 95).encode(&pixels, width, height, ColorType::Cmyk).expect("it is written to memory");
    bytes
}

/// An image of 40x40 with four colors: red, green, blue and black quarters.
fn palette() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 40, 40);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]);
    let quarter = |at: usize| (at / 40 / 20 * 2 + at % 40 / 20) as u8;
    let pixels: Vec<u8> = (0..1600).map(quarter).collect();
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("it is written to memory");
    bytes
}

/// A red image of 40x40, followed by a green one.
fn animated() -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = |color| Frame::new(RgbaImage::from_pixel(40, 40, Rgba(color)));
    GifEncoder::new(&mut bytes)
        .encode_frames([frame([255, 0, 0, 255]), frame([0, 255, 0, 255])])
        .expect("it is memory");
    bytes
}

/// Puts an EXIF block into a JPEG that says: rotate by 90 degrees clockwise.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut exif = vec![0xff, 0xe1, 0, (8 + tiff.len()) as u8];
    exif.extend(b"Exif\0\0");
    exif.extend(tiff);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}
