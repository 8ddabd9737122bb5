//! QR codes (ISO/IEC 18004): drawn as PNG or in the terminal, read from an image.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, ImageReader, Limits, Luma, imageops};
use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode};
use tallystick_kernel::Reason;

/// Bytes of an image file that is read at most.
pub const IMAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The kinds of image that a code is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// PNG (ISO/IEC 15948).
    Png,
    /// JPEG (ISO/IEC 10918).
    Jpeg,
}

impl ImageKind {
    /// The kind that a file's extension names, in whatever case.
    pub fn of_extension(extension: &str) -> Option<ImageKind> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(ImageKind::Png),
            "jpg" | "jpeg" => Some(ImageKind::Jpeg),
            _ => None,
        }
    }
}

/// Draws `text` as an image; [`Reason::TooLarge`] for more than a QR code holds.
pub fn to_image(text: &str, kind: ImageKind) -> Result<Vec<u8>, Reason> {
    let image = code(text)?.render::<Luma<u8>>().module_dimensions(MODULE, MODULE).build();
    let format = match kind {
        ImageKind::Png => ImageFormat::Png,
        ImageKind::Jpeg => ImageFormat::Jpeg,
    };
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).map_err(|_| Reason::Internal)?;
    Ok(bytes.into_inner())
}

/// Draws `text` as SVG with the quiet zone, one unit for each module, dark on white; for a page that
/// scales it. [`Reason::TooLarge`] for more than a QR code holds.
pub fn to_svg(text: &str) -> Result<String, Reason> {
    let code = code(text)?;
    let width = code.width();
    let side = width + 2 * QUIET;
    let mut path = String::new();
    for (place, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (place % width + QUIET, place / width + QUIET);
            path.push_str(&format!("M{x} {y}h1v1h-1z"));
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
         <path d=\"{path}\"/></svg>"
    ))
}

/// Draws `text` for a terminal with dark letters on light ground or the other way round: half
/// blocks, with the quiet zone. [`Reason::TooLarge`] for more than a QR code holds.
pub fn to_terminal(text: &str) -> Result<String, Reason> {
    // On the usual dark ground the lit blocks are the light modules.
    let code = code(text)?;
    let mut renderer = code.render::<Dense1x2>();
    Ok(renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Reads the one QR code of an image file (PNG or JPEG).
///
/// Returns [`Reason::TooLarge`], [`Reason::ImageUnreadable`], or [`Reason::CodeNotFound`] when
/// there is no code that can be read.
pub fn from_image(bytes: &[u8]) -> Result<String, Reason> {
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let reader = || {
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        reader.map_err(|_| Reason::ImageUnreadable)
    };
    // The head of a file says how large it is, before anything is decoded.
    let (width, height) = reader()?.into_dimensions().map_err(|_| Reason::ImageUnreadable)?;
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(Reason::TooLarge);
    }
    let mut reader = reader()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let image = reader.decode().map_err(|_| Reason::ImageUnreadable)?;
    read_any_size(&on_white(image)).ok_or(Reason::CodeNotFound)
}

fn code(text: &str) -> Result<QrCode, Reason> {
    QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| Reason::TooLarge)
}

/// Tries the image as it is, then enlarged and reduced: the finder patterns of very small modules,
/// and the noise of very large ones, both hide a code.
fn read_any_size(image: &GrayImage) -> Option<String> {
    let (width, height) = image.dimensions();
    let resized = |up: u32, down: u32| {
        let (width, height) = (width * up / down, height * up / down);
        let pixels = u64::from(width) * u64::from(height);
        let fits = pixels <= PIXELS_MAX && width.min(height) >= SIDE_MIN;
        fits.then(|| imageops::resize(image, width, height, imageops::FilterType::Triangle))
    };
    let side = width.max(height);
    let reduced = (side > SIDE_USUAL).then(|| resized(SIDE_USUAL, side)).flatten();
    reduced
        .and_then(|reduced| read(&reduced))
        .or_else(|| read(image))
        .or_else(|| read(&resized(3, 1)?))
        .or_else(|| read(&resized(1, 2)?))
        .or_else(|| read(&resized(1, 4)?))
}

fn read(image: &GrayImage) -> Option<String> {
    let (width, height) = image.dimensions();
    let pixel = |x: usize, y: usize| image.get_pixel(x as u32, y as u32).0[0];
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, pixel);
    prepared.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
}

/// What is transparent counts as white paper.
fn on_white(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let [light, opaque] = image.get_pixel(x, y).0.map(u32::from);
        Luma([((light * opaque + 255 * (255 - opaque)) / 255) as u8])
    })
}

const MODULE: u32 = 6;
/// Modules of white around a code.
const QUIET: usize = 4;
const SIDE_MIN: u32 = 21;
/// A larger picture is reduced to this first: it is read faster so, and nearly always.
const SIDE_USUAL: u32 = 1600;
const SIDE_MAX: u32 = 8192;
/// As many as the larger pictures of telephones have.
const PIXELS_MAX: u64 = 16 * 1024 * 1024;
const DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sample(length: usize) -> String {
        let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
        let body = (0..length).map(|index| alphabet[(index * 17 + index / 45) % 45] as char);
        format!("TLY1:{}", body.collect::<String>())
    }

    #[test]
    fn our_code_is_read_by_us_at_every_size() {
        for length in [0, 20, 200, 600, 1200] {
            let text = sample(length);
            assert_eq!(
                from_image(&to_image(&text, ImageKind::Png).unwrap()),
                Ok(text),
                "{length} characters"
            );
        }
        assert_eq!(to_image(&sample(5000), ImageKind::Png), Err(Reason::TooLarge));
    }

    #[test]
    fn the_kind_of_an_image_is_what_its_extension_says() {
        assert_eq!(ImageKind::of_extension("PNG"), Some(ImageKind::Png));
        assert_eq!(ImageKind::of_extension("gif"), None);
        let jpeg = ImageKind::of_extension("jpg").unwrap();
        let text = sample(200);
        let image = to_image(&text, jpeg).unwrap();
        assert_eq!(image[..3], [0xff, 0xd8, 0xff]);
        assert_eq!(from_image(&image), Ok(text));
    }

    #[test]
    fn our_code_is_read_by_zbar() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.png");
        let text = sample(600);
        std::fs::write(&file, to_image(&text, ImageKind::Png).unwrap()).unwrap();
        let output = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(&file).output();
        let output = output.expect("zbarimg of the package zbar-tools");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n'), text);
    }

    #[test]
    fn a_code_drawn_by_qrencode_is_read_by_us() {
        let text = sample(400);
        for size in ["1", "2", "3", "8"] {
            let output = Command::new("qrencode")
                .args(["--type=PNG", "--output=-", "--size", size, &text])
                .output()
                .expect("qrencode of the package qrencode");
            assert_eq!(from_image(&output.stdout), Ok(text.clone()), "modules of {size} pixels");
        }
    }

    #[test]
    fn an_image_without_a_code_and_bytes_that_are_no_image_are_told_apart() {
        let mut png = Cursor::new(Vec::new());
        let white = GrayImage::from_pixel(64, 64, Luma([255]));
        white.write_to(&mut png, ImageFormat::Png).unwrap();
        assert_eq!(from_image(&png.into_inner()), Err(Reason::CodeNotFound));
        assert_eq!(from_image(b"not an image"), Err(Reason::ImageUnreadable));
        assert_eq!(from_image(&[]), Err(Reason::ImageUnreadable));
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_refused_by_its_head() {
        let mut png = Cursor::new(Vec::new());
        let white = GrayImage::from_pixel(4097, 4096, Luma([255]));
        white.write_to(&mut png, ImageFormat::Png).unwrap();
        assert_eq!(from_image(&png.into_inner()), Err(Reason::TooLarge));
    }

    #[test]
    fn a_drawing_for_pages_holds_every_dark_module_once() {
        let drawn = to_svg("TLY1:A").unwrap();
        let dark = code("TLY1:A").unwrap().to_colors();
        let dark = dark.into_iter().filter(|color| *color == Color::Dark).count();
        assert_eq!(drawn.matches("h1v1h-1z").count(), dark);
        assert_eq!(to_svg(&sample(5000)), Err(Reason::TooLarge));
    }

    #[test]
    fn a_terminal_shows_two_rows_a_line() {
        let drawn = to_terminal("TLY1:A").unwrap();
        let rows: Vec<_> = drawn.lines().collect();
        let side = rows[0].chars().count();
        assert_eq!(rows.len(), side.div_ceil(2));
        assert!(drawn.contains('▀') && drawn.contains('▄'));
    }
}
