//! Which way a metric is better, by its name.

use sweep_core::trial::Goal;

/// Words for what more of is better.
const UP: [&str; 37] = [
    "accuracy",
    "acc",
    "f",
    "fscore",
    "auc",
    "auroc",
    "roc",
    "map",
    "ap",
    "score",
    "precision",
    "recall",
    "iou",
    "miou",
    "dice",
    "r",
    "reward",
    "rewards",
    "return",
    "returns",
    "bleu",
    "rouge",
    "psnr",
    "ssim",
    "ndcg",
    "mrr",
    "top",
    "hit",
    "hits",
    "correlation",
    "pearson",
    "spearman",
    "mcc",
    "kappa",
    "specificity",
    "sensitivity",
    "success",
];

/// Words for what less of is better.
const DOWN: [&str; 18] = [
    "loss",
    "losses",
    "error",
    "err",
    "perplexity",
    "ppl",
    "rmse",
    "mse",
    "mae",
    "mape",
    "nll",
    "wer",
    "cer",
    "fid",
    "cost",
    "bpb",
    "bpc",
    "regret",
];

/// These words mean a metric only with their number: `f1`, `r2`.
const NUMBERED: [&str; 2] = ["f", "r"];

/// Which way the metric of that name is better; `None` where the name does not say it. The last word that says it counts:
/// `accuracy_loss` is a loss.
pub fn of(name: &str) -> Option<Goal> {
    let mut words = name.split(|char: char| !char.is_ascii_alphanumeric()).flat_map(parts).rev();
    words.find_map(|word| goal(&word.to_ascii_lowercase()))
}

/// `valLoss` is two words, `AUC` and `mAP` are one each.
fn parts(word: &str) -> Vec<&str> {
    let bytes = word.as_bytes();
    let starts = |at: &usize| {
        bytes[*at].is_ascii_uppercase()
            && bytes[*at - 1].is_ascii_lowercase()
            && bytes.get(*at + 1).is_some_and(u8::is_ascii_lowercase)
    };
    let mut parts = Vec::new();
    let mut from = 0;
    for at in (1..bytes.len()).filter(starts) {
        parts.push(&word[from..at]);
        from = at;
    }
    parts.push(&word[from..]);
    parts
}

fn goal(word: &str) -> Option<Goal> {
    let bare = word.trim_end_matches(|char: char| char.is_ascii_digit());
    if NUMBERED.contains(&bare) && bare == word {
        return None;
    }
    if UP.contains(&bare) {
        Some(Goal::Maximize)
    } else if DOWN.contains(&bare) {
        Some(Goal::Minimize)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::METRICS;

    #[test]
    fn names_say_which_way_is_better() {
        for name in [
            "acc",
            "val_acc",
            "val/accuracy",
            "test.f1",
            "macro-F1",
            "mAP",
            "map50",
            "AUC",
            "episode_reward",
            "valAccuracy",
            "top5",
            "acc@1",
            "R2",
            "eval/mean_iou",
            "bleu4",
        ] {
            assert_eq!(of(name), Some(Goal::Maximize), "{name}");
        }
        for name in
            ["loss", "val_loss", "valLoss", "train/Loss", "top1_error", "RMSE", "perplexity", "accuracy_loss", "wer"]
        {
            assert_eq!(of(name), Some(Goal::Minimize), "{name}");
        }
        for name in ["x", "objective", "f", "r", "time", "lossless", "", "é"] {
            assert_eq!(of(name), None, "{name}");
        }
        for name in METRICS {
            let expected = if name.ends_with("accuracy") { Goal::Maximize } else { Goal::Minimize };
            assert_eq!(of(name), Some(expected), "{name}");
        }
    }
}
