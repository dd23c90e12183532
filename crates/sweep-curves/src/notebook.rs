//! Reader for Jupyter notebooks: the outputs of cells are read as what a script prints. A cell is a training of its own.

use serde_json::Value;

use super::Problem;
use super::gather::Gather;
use super::json;

/// Passes the metrics of every cell that printed some.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    let notebook = json::parse(bytes)?;
    let cells = notebook.get("cells").or_else(|| notebook.pointer("/worksheets/0/cells"));
    let cells = cells.and_then(Value::as_array).ok_or_else(|| Problem::new("it has no cells"))?;
    for (at, cell) in cells.iter().enumerate() {
        let texts = texts(cell.get("outputs").and_then(Value::as_array).map_or(&[], Vec::as_slice));
        gather.printed(&texts.join("\n"), &format!("cell {}", at + 1))?;
    }
    Ok(())
}

/// The texts of outputs. What a script prints may be cut anywhere into several outputs of the same stream.
fn texts(outputs: &[Value]) -> Vec<String> {
    let stream = |output: &Value| output.get("name").or_else(|| output.get("stream")).cloned();
    let mut texts: Vec<(Option<Value>, String)> = Vec::new();
    for (one, text) in outputs.iter().filter_map(|one| Some((stream(one), output(one)?))) {
        match texts.last_mut() {
            Some((before, known)) if one.is_some() && *before == one => known.push_str(&text),
            _ => texts.push((one, text)),
        }
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

/// The text of an output. Tables are taken from their HTML, in which Hugging Face and fastai show their metrics.
fn output(output: &Value) -> Option<String> {
    let joined = |text: &Value| -> Option<String> {
        match text {
            Value::String(text) => Some(text.clone()),
            Value::Array(lines) => Some(lines.iter().filter_map(Value::as_str).collect()),
            _ => None,
        }
    };
    let html = output.pointer("/data/text~1html").and_then(joined).filter(|html| html.contains("<tr"));
    if let Some(html) = html {
        return Some(without_tags(&html));
    }
    output.get("text").or_else(|| output.pointer("/data/text~1plain")).and_then(joined)
}

/// Rows of an HTML table as lines, its cells separated by bars.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(rest[..start].trim());
        let Some(end) = rest[start..].find('>') else { break };
        let tag = rest[start + 1..start + end].to_ascii_lowercase();
        match tag.split_whitespace().next().unwrap_or_default() {
            "/tr" | "table" | "/table" | "p" | "/p" | "br" => text.push('\n'),
            "/td" | "/th" => text.push('|'),
            _ => {}
        }
        rest = &rest[start + end + 1..];
    }
    text + rest.trim()
}
