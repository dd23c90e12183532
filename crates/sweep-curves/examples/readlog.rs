use sweep_curves::{Source, read};
fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.rsplit('/').next().unwrap().to_owned();
        println!("##### {name}");
        match read(&[Source { name: name.clone(), prefix: None, bytes }], None, &[]) {
            Err(p) => println!("  ERR {} // {}", p.what, p.hint.unwrap_or_default()),
            Ok(r) => {
                for c in r.curves.iter().take(4) {
                    let s = |m: &sweep_core::trial::EpochMetrics| {
                        let f = |n: &str, v: Option<f64>| v.map_or(String::new(), |v| format!(" {n}={v:.4}"));
                        format!(
                            "{}{}{}{}",
                            f("t", m.train_loss),
                            f("ta", m.train_accuracy),
                            f("v", m.val_loss),
                            f("va", m.val_accuracy)
                        )
                    };
                    let n = c.epochs.len();
                    if n == 0 {
                        println!("  [{}] n=0", c.name);
                        continue;
                    }
                    println!(
                        "  [{}] {} n={} e{}:{} .. mid{} .. e{}:{}",
                        c.name,
                        r.format,
                        n,
                        c.epochs[0].epoch,
                        s(&c.epochs[0]),
                        s(&c.epochs[n / 2]),
                        c.epochs[n - 1].epoch,
                        s(&c.epochs[n - 1])
                    );
                }
                if r.curves.len() > 4 {
                    println!(
                        "  ... {} curves {:?}",
                        r.curves.len(),
                        r.curves.iter().map(|c| c.epochs.len()).take(40).collect::<Vec<_>>()
                    );
                }
                for n in &r.notes {
                    println!("     - {}", n.chars().take(420).collect::<String>());
                }
                let u: Vec<_> = r.curves[0].unused.iter().take(8).cloned().collect();
                if !u.is_empty() {
                    println!("     - not used: {}", u.join(", "));
                }
            }
        }
    }
}
