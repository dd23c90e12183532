//! Renders layers and counts as short text for plans and messages.

use std::fmt;

use crate::recipe::{Join, Layer, Padding};

impl fmt::Display for Layer {
    /// Writes the layer in a shortened form of the model syntax: `conv 32 3x3 same`, `max_pool 2`, `dense 1024 max_norm
    /// 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Layer::Conv { filters, kernel, stride, padding, bias, max_norm } => {
                write!(f, "conv {filters} {kernel}x{kernel}")?;
                steps(f, stride, padding)?;
                weights(f, bias, max_norm)
            }
            Layer::GroupedConv { filters, groups, kernel, stride, padding, bias, max_norm } => {
                write!(f, "conv {filters} {kernel}x{kernel} in {groups} groups")?;
                steps(f, stride, padding)?;
                weights(f, bias, max_norm)
            }
            Layer::Depthwise { kernel, stride, padding, bias, max_norm } => {
                write!(f, "depthwise {kernel}x{kernel}")?;
                steps(f, stride, padding)?;
                weights(f, bias, max_norm)
            }
            Layer::Fork => f.write_str("branches begin"),
            Layer::Branch => f.write_str("next branch"),
            Layer::Join { by: Join::Add } => f.write_str("add branches"),
            Layer::Join { by: Join::Concat } => f.write_str("concat branches"),
            Layer::Join { by: Join::Multiply } => f.write_str("multiply branches"),
            Layer::Scale { by } => write!(f, "scale {by}"),
            Layer::MaxPool { size, stride } => pool(f, "max_pool", size, stride),
            Layer::AveragePool { size, stride } => pool(f, "average_pool", size, stride),
            Layer::GlobalAveragePool => f.write_str("global_average_pool"),
            Layer::GlobalMaxPool => f.write_str("global_max_pool"),
            Layer::Relu => f.write_str("relu"),
            Layer::Tanh => f.write_str("tanh"),
            Layer::Gelu => f.write_str("gelu"),
            Layer::Sigmoid => f.write_str("sigmoid"),
            Layer::Silu => f.write_str("silu"),
            Layer::LeakyRelu { slope } => write!(f, "leaky_relu {slope}"),
            Layer::LayerNorm { .. } => f.write_str("layer_norm"),
            Layer::GroupNorm { groups, .. } => write!(f, "group_norm {groups}"),
            Layer::BatchNorm { .. } => f.write_str("batch_norm"),
            Layer::Dropout { rate } => write!(f, "dropout {rate}"),
            Layer::Flatten => f.write_str("flatten"),
            Layer::Dense { units, bias, max_norm } => {
                write!(f, "dense {units}")?;
                weights(f, bias, max_norm)
            }
        }
    }
}

/// Formats a count with thousands separators: `49,000`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

/// Formats a size of memory or disk: `39.6 GiB`.
pub fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn steps(f: &mut fmt::Formatter<'_>, stride: u32, padding: Padding) -> fmt::Result {
    if stride != 1 {
        write!(f, " stride {stride}")?;
    }
    f.write_str(match padding {
        Padding::Same => " same",
        Padding::Valid => " valid",
    })
}

fn pool(f: &mut fmt::Formatter<'_>, name: &str, size: u32, stride: u32) -> fmt::Result {
    write!(f, "{name} {size}")?;
    if stride != size {
        write!(f, " stride {stride}")?;
    }
    Ok(())
}

fn weights(f: &mut fmt::Formatter<'_>, bias: bool, max_norm: Option<f64>) -> fmt::Result {
    if !bias {
        f.write_str(" without bias")?;
    }
    match max_norm {
        Some(norm) => write!(f, " max_norm {norm}"),
        None => Ok(()),
    }
}

/// The first and the last number of each run of consecutive numbers. The numbers ascend.
pub fn runs(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        assert_eq!([0, 999, 1000, 4_294_967_295].map(thousands), ["0", "999", "1,000", "4,294,967,295"]);
    }

    #[test]
    fn only_what_is_not_the_default_is_said() {
        let conv =
            Layer::Conv { filters: 64, kernel: 5, stride: 2, padding: Padding::Valid, bias: false, max_norm: None };
        assert_eq!(conv.to_string(), "conv 64 5x5 stride 2 valid without bias");
        assert_eq!(Layer::MaxPool { size: 2, stride: 2 }.to_string(), "max_pool 2");
        assert_eq!(Layer::AveragePool { size: 3, stride: 2 }.to_string(), "average_pool 3 stride 2");
        assert_eq!(Layer::Dense { units: 512, bias: true, max_norm: Some(3.0) }.to_string(), "dense 512 max_norm 3");
    }
}
