//! Finds the word that a misspelled word was probably meant to be.

/// Words of other tools and short forms, each with the word used here.
const KNOWN_AS: [(&str, &str); 23] = [
    ("lr", "learning_rate"),
    ("bs", "batch_size"),
    ("batch", "batch_size"),
    ("epoch", "epochs"),
    ("num_epochs", "epochs"),
    ("n_epochs", "epochs"),
    ("l2", "weight_decay"),
    ("decay", "weight_decay"),
    ("patience", "early_stopping.patience"),
    ("min_delta", "early_stopping.min_delta"),
    ("accuracy", "val_accuracy"),
    ("acc", "val_accuracy"),
    ("val_acc", "val_accuracy"),
    ("validation_accuracy", "val_accuracy"),
    ("loss", "val_loss"),
    ("validation_loss", "val_loss"),
    ("train_acc", "train_accuracy"),
    ("network", "model"),
    ("dataset", "data"),
    ("val_split", "validation"),
    ("validation_split", "validation"),
    ("max_runs", "run_cap"),
    ("metrics", "metric"),
];

/// Returns the name reported by a program that most likely means the metric of the sweep file. It may be a short form,
/// such as `val_acc` for `val_accuracy`.
pub fn nearest_metric<'a>(metric: &str, told: &[&'a str]) -> Option<&'a str> {
    let words = |name: &str| -> Vec<String> {
        let parts = name.split(|char: char| !char.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    let wanted = words(metric);
    let is_short = |name: &str| {
        let own = words(name);
        let short =
            |(one, other): (&String, &String)| one.starts_with(other.as_str()) || other.starts_with(one.as_str());
        own.len() == wanted.len() && own.iter().zip(&wanted).all(short)
    };
    nearest(metric, told.iter().copied()).or_else(|| told.iter().copied().find(|name| is_short(name)))
}

/// Returns the word of `words` that is most similar to `typed`, if one is similar enough.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('-', "_");
    let meant = KNOWN_AS.iter().find(|(theirs, _)| *theirs == typed).map(|(_, ours)| *ours);
    let mut best = None;
    for word in words {
        if meant == Some(word) {
            return Some(word);
        }
        let distance = match word.strip_prefix(typed.as_str()) {
            // A truncated word is similar whatever its length.
            Some(_) if typed.len() > 2 => 0,
            _ => strsim::damerau_levenshtein(&typed, &word.to_lowercase()),
        };
        let rank = (distance, word.len());
        if distance <= (typed.chars().count().max(word.len()) / 3).max(1) && best.is_none_or(|(least, _)| rank < least)
        {
            best = Some((rank, word));
        }
    }
    best.map(|(_, word)| word)
}

/// Returns ``did you mean `adam`?`` if a word is similar enough, otherwise the list of all words: `choose one of
/// adam, sgd`.
pub fn suggest(typed: &str, words: &[&str]) -> String {
    match (nearest(typed, words.iter().copied()), words) {
        (Some(word), _) => format!("did you mean `{word}`?"),
        (None, []) => "none exist here".to_owned(),
        (None, [only]) => format!("the only choice is {only}"),
        (None, _) => format!("choose one of {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_and_a_foreign_word_are_understood_and_nonsense_is_not() {
        let words = ["learning_rate", "batch_size", "epochs"];
        assert_eq!(nearest("lerning_rate", words), Some("learning_rate"));
        assert_eq!(nearest("Learning-Rate", words), Some("learning_rate"));
        assert_eq!(nearest("lr", words), Some("learning_rate"));
        assert_eq!(nearest("learn", words), Some("learning_rate"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("metrics", ["metrics_file", "metric"]), Some("metric"));
    }
}
