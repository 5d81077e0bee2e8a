//! Plans of many jails as text: of a large family, each kind of plan is shown once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::text;
use crate::plan::{ChangeKind, Plan, Step};
use crate::show::count;
use crate::show::style::Styler;

/// Most jails of a family whose plans are all shown.
const MOST: usize = 4;

/// The plans as text. `all` shows every plan, with every path.
pub fn texts(plans: &[&Plan], all: bool, paint: Styler) -> String {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.name.is_member()) {
        *sizes.entry(plan.name.family_name()).or_default() += 1;
    }
    sizes.retain(|_, size| !all && *size > MOST);
    let mut page = String::new();
    let mut shown: BTreeMap<(&str, Signature), &Plan> = BTreeMap::new();
    let mut unchanged: BTreeMap<&str, usize> = BTreeMap::new();
    // Writing to a String cannot fail, here and below.
    for plan in plans {
        let family = plan.name.family_name();
        if !sizes.contains_key(family) {
            page.push_str(&text(plan, all, paint));
        } else if !plan.is_change() && plan.notices.is_empty() {
            *unchanged.entry(family).or_default() += 1;
        } else if let Some(first) = shown.get(&(family, signature(plan))) {
            let ids: Vec<String> = plan.steps.iter().filter_map(new_account).collect();
            let ids = if ids.is_empty() {
                String::new()
            } else {
                format!(" ({})", ids.join(", "))
            };
            let root = plan.root.display();
            let _ = writeln!(page, "{} at {root}: as {}{ids}", plan.name, first.name);
        } else {
            page.push_str(&text(plan, all, paint));
            shown.insert((family, signature(plan)), plan);
        }
    }
    for (family, number) in unchanged {
        let jails = count(number, "jail", "jails");
        let _ = writeln!(page, "{family}: {jails}: nothing to do");
    }
    page
}

/// The parts of a plan without the name of its user.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Signature {
    is_new: bool,
    steps: Vec<(&'static str, ChangeKind)>,
    paths: Vec<(String, ChangeKind, Option<String>)>,
    notices: Vec<String>,
}

fn signature(plan: &Plan) -> Signature {
    let name = plan.name.as_str();
    let user = name.split_once('.').map_or(name, |(_, user)| user);
    let root = plan.root.display().to_string();
    let without_user = |text: &str| {
        let text = text.replace(&root, "%r");
        text.split('/')
            .map(|part| if part == user { "%u" } else { part })
            .collect::<Vec<_>>()
            .join("/")
            .replace(&format!("`{user}`"), "`%u`")
    };
    let summaries = plan.steps.iter().filter_map(|step| step.text().summary);
    Signature {
        is_new: plan.manifest.is_none(),
        // The steps for the family as a whole are those of one of its members.
        steps: summaries
            .filter(|summary| summary.user.is_some() || summary.subject == "root")
            .map(|summary| (summary.subject, summary.kind))
            .collect(),
        paths: (plan.changes.iter())
            .map(|change| {
                (
                    without_user(change.path.as_str()),
                    change.act,
                    change.because.clone(),
                )
            })
            .collect(),
        notices: plan
            .notices
            .iter()
            .map(|notice| without_user(notice))
            .collect(),
    }
}

/// A new account with its id: `bob, uid 1004`.
fn new_account(step: &Step) -> Option<String> {
    match step {
        Step::CreateAccount(account) => Some(format!("{}, uid {}", account.name, account.uid)),
        _ => None,
    }
}
