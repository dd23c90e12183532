//! Splits a name into words: `valLoss`, `val_loss`, `valloss`, or `Loss/val`.

use std::borrow::Cow;

use super::{TRAINING, VALIDATION};

/// Losses and accuracies of several words, the longest first.
const ABBREVIATIONS: [(&[&str], &str); 14] = [
    // PaddleOCR's evaluations.
    (&["cur", "metric"], "eval"),
    (&["correct", "percent"], "accuracy"),
    (&["percent", "correct"], "accuracy"),
    (&["correct", "rate"], "accuracy"),
    (&["root", "mean", "squared", "error"], "rmse"),
    (&["mean", "squared", "error"], "mse"),
    (&["mean", "absolute", "error"], "mae"),
    (&["mean", "absolute", "percentage", "error"], "mape"),
    (&["negative", "log", "likelihood"], "nll"),
    (&["cross", "entropy"], "crossentropy"),
    (&["log", "loss"], "logloss"),
    (&["mlog", "loss"], "mlogloss"),
    (&["smooth", "l1"], "l1"),
    (&["eopch"], "epoch"),
];
/// Words of other languages, and what they mean. Longer ones come before those that they contain.
const TRANSLATIONS: [(&str, &str); 44] = [
    ("训练", "train"),
    ("訓練", "train"),
    ("学習", "train"),
    ("验证", "val"),
    ("驗證", "val"),
    ("検証", "val"),
    ("测试", "test"),
    ("測試", "test"),
    ("テスト", "test"),
    ("损失", "loss"),
    ("損失", "loss"),
    ("准确率", "accuracy"),
    ("準確率", "accuracy"),
    ("正确率", "accuracy"),
    ("精度", "accuracy"),
    ("轮次", "epoch"),
    ("학습", "train"),
    ("훈련", "train"),
    ("검증", "val"),
    ("손실", "loss"),
    ("정확도", "accuracy"),
    ("обучение", "train"),
    ("обучения", "train"),
    ("валидация", "val"),
    ("валидации", "val"),
    ("эпоха", "epoch"),
    ("потери", "loss"),
    ("потеря", "loss"),
    ("точность", "accuracy"),
    ("verlust", "loss"),
    ("genauigkeit", "accuracy"),
    ("perte", "loss"),
    ("exactitude", "accuracy"),
    ("pérdida", "loss"),
    ("perdida", "loss"),
    ("exactitud", "accuracy"),
    ("entrenamiento", "train"),
    ("validación", "val"),
    ("validacion", "val"),
    ("época", "epoch"),
    ("perda", "loss"),
    ("acurácia", "accuracy"),
    ("treino", "train"),
    ("validação", "val"),
];

/// A name with words of other languages in English.
fn translated(name: &str) -> Cow<'_, str> {
    if name.is_ascii() && !name.contains(|letter: char| letter.is_ascii_alphabetic()) {
        return Cow::Borrowed(name);
    }
    let lower = name.to_lowercase();
    if !TRANSLATIONS.iter().any(|(foreign, _)| lower.contains(foreign)) {
        return Cow::Borrowed(name);
    }
    let translated = TRANSLATIONS.iter().fold(lower, |name, (foreign, word)| match foreign.is_ascii() {
        // `perte` is a part of English words, too.
        true => {
            let split = || name.split(|letter: char| !letter.is_alphanumeric());
            match split().any(|one| one == *foreign) {
                true => split().map(|one| if one == *foreign { word } else { one }).collect::<Vec<_>>().join(" "),
                false => name,
            }
        }
        false => name.replace(foreign, &format!(" {word} ")),
    });
    Cow::Owned(translated)
}

/// The words of a name, in lower case and in English.
pub fn split(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let name = translated(name);
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        // `top1Accuracy`, but not `conv2D`.
        let is_small = |next: &char| next.is_lowercase();
        let begins = before.is_lowercase() || before.is_ascii_digit() && letters.peek().is_some_and(is_small);
        if !letter.is_alphanumeric() || letter.is_uppercase() && begins {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().expect("there is always a last word").extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    let mut words: Vec<String> = words.into_iter().flat_map(unglued).collect();
    // `T.Loss`, `V. Acc`.
    if let [set, quantity] = &mut words[..]
        && ["loss", "acc", "accuracy"].contains(&quantity.as_str())
    {
        match set.as_str() {
            "t" => *set = "train".to_owned(),
            "v" => *set = "val".to_owned(),
            _ => {}
        }
    }
    for (of, short) in ABBREVIATIONS {
        while let Some(at) = words.windows(of.len()).position(|part| part.iter().eq(of)) {
            words.splice(at..at + of.len(), [short.to_owned()]);
        }
    }
    // LightGBM's mean over the folds of a cross-validation.
    if let Some(at) = words.windows(2).position(|pair| pair == ["cv", "agg"]) {
        words.drain(at..at + 2);
        let names_set =
            words.iter().any(|word| TRAINING.contains(&word.as_str()) || VALIDATION.contains(&word.as_str()));
        words.splice(at..at, (!names_set).then(|| "val".to_owned()));
    }
    words
}

/// `valloss` is `val loss`.
fn unglued(word: String) -> Vec<String> {
    let parts = VALIDATION.iter().chain(&TRAINING).filter(|part| part.len() > 2);
    let mut split = parts.filter_map(|part| word.strip_prefix(part).map(|rest| (*part, rest)));
    let split = split.find(|(_, rest)| ["loss", "acc", "accuracy"].contains(rest));
    match split {
        Some((part, rest)) => vec![part.to_owned(), rest.to_owned()],
        None => vec![word],
    }
}
