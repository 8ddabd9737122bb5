//! What a camera sees that is held before a screen: a video of one still picture.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, Luma};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
/// The side of the code within the picture.
const SIDE: u32 = 600;
/// The wall behind.
const GROUND: u8 = 90;
const FRAMES: usize = 2;

/// A YUV4MPEG2 video that shows a PNG, smaller than the picture and before a wall.
pub fn video(png: &[u8]) -> Result<Vec<u8>, String> {
    let code = image::load_from_memory(png).map_err(|error| error.to_string())?;
    Ok(filmed(&code))
}

fn filmed(code: &DynamicImage) -> Vec<u8> {
    let code = imageops::resize(&code.to_luma8(), SIDE, SIDE, FilterType::Triangle);
    let mut picture = GrayImage::from_pixel(WIDTH, HEIGHT, Luma([GROUND]));
    let at = |whole: u32| i64::from((whole - SIDE) / 2);
    imageops::overlay(&mut picture, &code, at(WIDTH), at(HEIGHT));
    let mut video = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420\n").into_bytes();
    for _ in 0..FRAMES {
        video.extend(b"FRAME\n");
        video.extend(picture.as_raw());
        // Both planes of colour are neutral, each of a quarter of the size.
        video.resize(video.len() + picture.len() / 2, 128);
    }
    video
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_holds_its_header_and_whole_frames() {
        let video = filmed(&DynamicImage::new_luma8(10, 10));
        let header = video.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let frame = "FRAME\n".len() + (WIDTH * HEIGHT * 3 / 2) as usize;
        assert_eq!(video.len(), header + FRAMES * frame);
        assert!(super::video(b"no picture").is_err());
    }
}
