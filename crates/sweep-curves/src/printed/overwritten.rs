//! Keras' progress bars in logs of terminals that keep a line as it was overwritten, such as W&B's: behind the numbers of the
//! epoch under way stand those of the epoch before, and the lines with the numbers of a whole epoch are missing.
//!
//! ```text
//! Epoch 3/10
//! 1874/1875 [=====>.] - ETA: 0s - loss: 0.4460 - accuracy: 0.8369
//!   20/1875 [.......] - ETA: 41s - loss: 0.3982 - accuracy: 0.8672.8369 - val_loss: 0.4645 - val_accuracy: 0.8274
//! ```

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A bar that is not complete, its batch and their number, its numbers, and what is left of the line before.
static BAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(\d+)/(\d+) \[[=>.]+\] - ETA: [\w:]+ - ([^\[\r\x08]*?\d\.\d{4})[ .\d]*( - val_[^\r\x08]*)?$")
        .expect("it is an expression")
});
/// The header of an epoch, and one that is all that was written over a bar.
static HEADER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^Epoch (\d+)/(\d+)([\[=>.].*)?$").expect("it is an expression"));

/// A text with the missing lines: the header of each epoch, and its bar with the last numbers that were drawn. `None` if
/// nothing was overwritten.
pub(super) fn restored(text: &str) -> Option<String> {
    if !text.lines().any(|line| BAR.captures(line).is_some_and(|bar| bar.get(4).is_some())) {
        return None;
    }
    let (mut lines, mut epoch): (Vec<Cow<str>>, Option<(u32, &str)>) = (Vec::new(), None);
    let mut last: Option<(u32, &str)> = None;
    for line in text.lines() {
        if let Some(header) = HEADER.captures(line) {
            if header.get(3).is_none() {
                epoch = header[1].parse().ok().zip(header.get(2).map(|of| of.as_str()));
                last = None;
                lines.push(Cow::Borrowed(line));
            }
            continue;
        }
        let Some(bar) = BAR.captures(line) else {
            lines.push(Cow::Borrowed(line));
            continue;
        };
        let of = &bar[2];
        let (Ok(batch), Some(own)) = (bar[1].parse::<u32>(), bar.get(3).map(|own| own.as_str())) else { continue };
        if let (Some((before, numbers)), Some(left), Some((number, epochs))) = (last, bar.get(4), epoch)
            && batch < before
        {
            lines.push(format!("{of}/{of} [====] - 0s - {numbers}{}", left.as_str()).into());
            lines.push(format!("Epoch {}/{epochs}", number + 1).into());
            epoch = Some((number + 1, epochs));
        }
        last = Some((batch, own));
        lines.push(format!("{batch}/{of} [==>.] - ETA: 1s - {own}").into());
    }
    Some(lines.join("\n"))
}
