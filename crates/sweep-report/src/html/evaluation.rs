//! The confusion matrix of the best trial and its worst images.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::format;
use crate::evaluated::Evaluated;

/// Renders the matrix and the image. `None` if no trial was evaluated.
pub fn images(evaluated: Option<&Evaluated>) -> Markup {
    let Some(evaluated) = evaluated else { return html! {} };
    let classes = evaluated.classes();
    html! {
        @if let Some((rows, caption)) = evaluated.matrix() {
            div.wide {
                table.confusion {
                    caption { (caption) }
                    thead { tr { th {} @for class in &classes { th.n scope="col" { (class) } } } }
                    tbody {
                        @for (at, (class, row)) in classes.iter().zip(rows).enumerate() {
                            tr {
                                th scope="row" { (class) }
                                @for (column, count) in row.iter().enumerate() { (cell(*count, row.iter().sum(), at == column)) }
                            }
                        }
                    }
                }
            }
        } @else {
            p.soft { "The confusion matrix of " (classes.len()) " classes is in " a href="confusion.csv" { "confusion.csv" } "." }
        }
        @if let Some(worst) = &evaluated.worst {
            img alt="The validation images that the network is most wrong about" src=(format!("data:image/png;base64,{}", STANDARD.encode(worst)));
        }
    }
}

/// A count, with a background that shows its share of the row in tenths.
fn cell(count: u64, all: u64, is_right: bool) -> Markup {
    let tenths = if count == 0 { 0 } else { (count * 10).div_ceil(all.max(1)) };
    let kind = if is_right { "right" } else { "wrong" };
    html! { td class=(format!("n {kind} share{tenths}")) { @if count > 0 { (format::count(count)) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::evaluation::{Confusion, Evaluation};
    use sweep_core::trial::TrialId;

    #[test]
    fn the_matrix_shows_counts_and_escapes_names_of_classes() {
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 1)];
        let evaluation = Evaluation {
            classes: vec!["<b>cat".into(), "dog".into()],
            trial: TrialId(3),
            validation: Confusion::of(2, pairs),
            worst: Vec::new(),
            tests: Vec::new(),
            mirrored: Vec::new(),
            tested_before: 0,
        };
        let evaluated = Evaluated { evaluation, worst: Some(b"png".to_vec()) };
        let page = images(Some(&evaluated)).into_string();
        assert!(page.contains("&lt;b&gt;cat") && !page.contains("<b>"), "{page}");
        assert!(page.contains("<td class=\"n right share7\">2</td><td class=\"n wrong share4\">1</td>"), "{page}");
        assert!(page.contains("<td class=\"n wrong share0\"></td>"), "{page}");
        assert!(page.contains("data:image/png;base64,cG5n"), "{page}");
    }
}
