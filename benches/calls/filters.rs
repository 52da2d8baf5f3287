//! Owns the questions: every filter of the call log, common, rare and hopeless, and what a plain list says to each.

use crate::facts::Fact;

/// One filter, as a query and as a plain comparison.
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) query: String,
    admits: Box<dyn Fn(&Fact) -> bool>,
}

/// Records of a page.
pub(crate) const PAGE: usize = 50;

impl Filter {
    fn new(name: &'static str, query: impl Into<String>, admits: impl Fn(&Fact) -> bool + 'static) -> Self {
        Self { name, query: query.into(), admits: Box::new(admits) }
    }

    /// What the first page holds, newest first, and how many there are in all. `facts` stand oldest first.
    pub(crate) fn expected<'f>(&self, facts: &'f [Fact]) -> (Vec<&'f Fact>, usize) {
        let all: Vec<&Fact> = facts.iter().rev().filter(|fact| (self.admits)(fact)).collect();
        (all.iter().take(PAGE).copied().collect(), all.len())
    }
}

fn reason(fact: &Fact) -> &'static str {
    fact.outcome.reason.map_or("", |reason| reason.as_str())
}

/// All of them. `facts` lend a number of the middle of the log and one of its far end.
pub(crate) fn all(facts: &[Fact]) -> Vec<Filter> {
    let japanese = |facts: &[Fact]| *facts.iter().find(|fact| fact.country == "JP").unwrap();
    let (middle, oldest) = (japanese(&facts[facts.len() / 2..]), japanese(facts));
    let (long_ago, until) = (facts[facts.len() / 10].ended_at, facts[facts.len() / 5].ended_at);
    let plus = |fact: &Fact| fact.e164().expose().replace('+', "%2B");
    let to = |wanted: Fact| move |fact: &Fact| fact.number == wanted.number && fact.country == wanted.country;
    let ends = |fact: &Fact, digits: &str| fact.e164().expose().ends_with(digits);
    let last = middle.e164().expose()[middle.e164().expose().len() - 4..].to_owned();
    let (four, three, two) = (last.clone(), last[1..].to_owned(), last[2..].to_owned());
    let reference = middle.reference();
    vec![
        Filter::new("no filter", "", |_| true),
        Filter::new("time, newest tenth", format!("since={}", facts[facts.len() * 9 / 10].ended_at), {
            let since = facts[facts.len() * 9 / 10].ended_at;
            move |fact| fact.ended_at >= since
        }),
        Filter::new("time, long ago", format!("since={long_ago}&until={until}"), move |fact| {
            fact.ended_at >= long_ago && fact.ended_at < until
        }),
        Filter::new("number", format!("number={}", plus(&middle)), to(middle)),
        Filter::new("number of the oldest", format!("number={}", plus(&oldest)), to(oldest)),
        Filter::new("number, nothing", "number=%2B819099999999", |_| false),
        Filter::new("last digits, 4", format!("last_digits={four}"), move |fact| ends(fact, &four)),
        Filter::new("last digits, 3", format!("last_digits={three}"), move |fact| ends(fact, &three)),
        Filter::new("last digits, 2", format!("last_digits={two}"), {
            let two = two.clone();
            move |fact| ends(fact, &two)
        }),
        Filter::new("reference", format!("reference={reference}"), move |fact| fact.reference() == reference),
        Filter::new("reference, nothing", "reference=nobody", |_| false),
        Filter::new("client, common", "client=shop", |fact| fact.client == "shop"),
        Filter::new("client, 1 of 10,000", "client=pilot", |fact| fact.client == "pilot"),
        Filter::new("client, nothing", "client=nobody", |_| false),
        Filter::new("status, common", "status=failed", |fact| fact.status().as_str() == "failed"),
        Filter::new("status, 1 of 1,000", "status=denied", |fact| fact.status().as_str() == "denied"),
        Filter::new("status, nothing", "status=pending", |_| false),
        Filter::new("reason, 1 of 100", "reason=carrier_error", |fact| reason(fact) == "carrier_error"),
        Filter::new("reason, 1 of 100,000", "reason=blocked", |fact| reason(fact) == "blocked"),
        Filter::new("fault, 1 of 250", "fault=request", |fact| fact.outcome.fault.as_str() == "request"),
        Filter::new("fault, 1 of 100,000", "fault=us", |fact| fact.outcome.fault.as_str() == "us"),
        Filter::new("carrier, common", "carrier=trunk", |fact| fact.carrier == "trunk"),
        Filter::new("carrier, 1 of 50,000", "carrier=retired", |fact| fact.carrier == "retired"),
        Filter::new("country, 1 of 100", "country=FR", |fact| fact.country == "FR"),
        Filter::new("country, 1 of 50,000", "country=IS", |fact| fact.country == "IS"),
        Filter::new("two common that never meet", "status=verified&reason=busy", |_| false),
        Filter::new("client, country and reason", "client=portal&country=DE&reason=busy", |fact| {
            fact.client == "portal" && fact.country == "DE" && reason(fact) == "busy"
        }),
        Filter::new("last digits and reason", format!("last_digits={two}&reason=voicemail"), {
            let two = two.clone();
            move |fact| ends(fact, &two) && reason(fact) == "voicemail"
        }),
        Filter::new("all at once, nothing", format!("last_digits={two}&client=pilot&carrier=reserve&country=FR"), {
            move |fact| ends(fact, &two) && fact.client == "pilot" && fact.carrier == "reserve" && fact.country == "FR"
        }),
    ]
}
