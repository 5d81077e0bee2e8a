//! d
use crate::error::Error;
/// r
pub fn render(error: &Error, _color: bool) -> String {
    let mut t = String::new();
    for f in &error.findings {
        t.push_str(&format!("error: {f}\n"));
        for h in &f.hints {
            t.push_str(&format!("hint: {h}\n"));
        }
        if let Some((s, l)) = &f.site {
            t.push_str(&format!(" --> {s:?} {l}\n"));
        }
    }
    t
}
