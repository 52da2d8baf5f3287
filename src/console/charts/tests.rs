//! Where things stand, whatever the numbers are.

use proptest::prelude::*;

use super::*;

fn head(places: usize) -> Head {
    Head {
        id: "c",
        title: String::from("Verifications"),
        description: String::from("<b>5</b> & more"),
        places: (0..places).map(|place| format!("{place:02}:00")).collect(),
        every: 10,
    }
}

fn layer(kind: usize, values: &[u64]) -> Layer {
    Layer { name: format!("kind {kind}"), kind, values: values.to_vec() }
}

fn line(kind: usize, values: &[Option<f64>]) -> Line {
    Line { name: format!("line {kind}"), kind, values: values.to_vec() }
}

/// The numbers of the attributes that place something, and of paths.
fn numbers(svg: &str) -> Vec<f64> {
    let mut found = Vec::new();
    for name in [" x=\"", " y=\"", " width=\"", " height=\"", " d=\""] {
        for value in svg.split(name).skip(1) {
            let value = value.split('"').next().unwrap();
            let parts =
                value.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).filter(|part| !part.is_empty());
            found.extend(parts.map(|part| part.parse::<f64>().unwrap_or_else(|_| panic!("{value}"))));
        }
    }
    found
}

fn sound(chart: &Chart) -> String {
    let svg = chart.svg();
    for word in ["NaN", "inf", "style="] {
        assert!(!svg.contains(word), "{word}: {svg}");
    }
    let numbers = numbers(&svg);
    assert!(!numbers.is_empty());
    assert!(numbers.iter().all(|number| (-10.0..=WIDTH).contains(number)), "{numbers:?}");
    for bar in &chart.bars {
        assert!(bar.height >= 0.0 && bar.width > 0.0, "{bar:?}");
        assert!(bar.x >= LEFT - 0.1 && bar.x + bar.width <= WIDTH - RIGHT + 0.2, "{bar:?}");
        assert!(bar.y >= TOP - 0.1 && bar.y + bar.height <= HEIGHT - BOTTOM + 0.2, "{bar:?}");
    }
    svg
}

#[test]
fn bars_stand_on_each_other_to_scale() {
    let chart = Chart::bars(head(2), &[layer(1, &[30, 10]), layer(2, &[10, 0])]);
    sound(&chart);
    let floor = HEIGHT - BOTTOM;
    let whole = floor - TOP;
    let [first, on_top, second] = &chart.bars[..] else { panic!("{:?}", chart.bars) };
    assert_eq!(first.y + first.height, floor);
    assert!((on_top.y + on_top.height - first.y).abs() < 0.11, "{on_top:?} stands on {first:?}");
    assert!((first.height - whole * 30.0 / 40.0).abs() < 0.11 && (second.height - whole / 4.0).abs() < 0.11);
    let texts: Vec<_> = chart.y_labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(texts, ["0", "20", "40"]);
}

#[test]
fn it_says_what_it_is_and_escapes_it() {
    let svg = sound(&Chart::bars(head(3), &[layer(1, &[1, 2, 3])]));
    assert!(svg.contains(r#"role="img" aria-labelledby="c-title c-desc""#), "{svg}");
    assert!(svg.contains(r#"<title id="c-title">Verifications</title>"#), "{svg}");
    assert!(svg.contains("&#60;b&#62;5&#60;/b&#62; &#38; more"), "{svg}");
    assert!(svg.contains("kind 1") && svg.contains("02:00"), "{svg}");
    assert!(svg.contains(r##"fill="url(#c-k1)""##) && svg.contains(r#"<pattern id="c-k1""#), "{svg}");
}

#[test]
fn nothing_is_drawn_of_nothing() {
    for chart in [
        Chart::bars(head(0), &[]),
        Chart::bars(head(60), &[layer(1, &[0; 60])]),
        Chart::lines(head(0), Unit::Seconds, &[], None),
        Chart::lines(head(4), Unit::Share, &[line(1, &[None; 4])], None),
    ] {
        sound(&chart);
        assert!(chart.bars.is_empty() && chart.marks.is_empty());
        assert!(chart.y_labels.len() >= 2, "an axis is there all the same");
    }
}

#[test]
fn what_is_no_number_is_left_out() {
    let values = [Some(1.0), Some(f64::NAN), Some(f64::INFINITY), Some(-3.0), Some(2.0), Some(4.0)];
    let chart = Chart::lines(head(6), Unit::Seconds, &[line(2, &values)], Some((f64::NAN, String::from("usual"))));
    let svg = sound(&chart);
    assert_eq!(chart.lines[0].d.matches('M').count(), 2, "broken where nothing is known: {}", chart.lines[0].d);
    assert_eq!(chart.marks.len(), 3);
    assert_eq!(chart.across, None);
    assert!(!svg.contains("usual"), "{svg}");
}

#[test]
fn shares_always_reach_to_a_hundred() {
    let chart =
        Chart::lines(head(2), Unit::Share, &[line(1, &[Some(0.5), Some(7.0)])], Some((0.95, String::from("usual"))));
    sound(&chart);
    let texts: Vec<_> = chart.y_labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(texts, ["0%", "25%", "50%", "75%", "100%"]);
    assert!(chart.across.is_some_and(|at| (TOP..TOP + 20.0).contains(&at)));
    assert_eq!(chart.legend.len(), 2);
}

#[test]
fn many_places_have_few_labels_and_few_marks() {
    let values: Vec<_> = (0..60).map(|at| (at != 10 && at != 12).then_some(f64::from(at))).collect();
    let chart = Chart::lines(head(60), Unit::Seconds, &[line(1, &values)], None);
    sound(&chart);
    let named: Vec<_> = chart.x_labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(named, ["59:00", "49:00", "39:00", "29:00", "19:00", "09:00"]);
    let every = Head { every: 1, ..head(60) };
    assert_eq!(Chart::bars(every, &[layer(1, &[1; 60])]).x_labels.len(), X_LABELS, "no more than there is room for");
    assert_eq!(chart.marks.len(), 2, "the lonely one, and the last");
}

#[test]
fn axes_end_at_round_numbers() {
    let of = |most: f64, steps| {
        let (top, ticks) = scale(most, steps);
        assert!(top >= most && ticks.len() <= Y_LABELS + 2, "{most}: {ticks:?}");
        ticks.iter().map(|tick| compact(*tick)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(0.0, Steps::Whole), "0 1");
    assert_eq!(of(1.0, Steps::Whole), "0 1");
    assert_eq!(of(3.0, Steps::Whole), "0 1 2 3");
    assert_eq!(of(7.0, Steps::Whole), "0 5 10");
    assert_eq!(of(9_999.0, Steps::Whole), "0 5k 10k");
    assert_eq!(of(0.0, Steps::Any), "0 0.1");
    assert_eq!(of(11.3, Steps::Any), "0 5 10 15");
    assert_eq!(scale(f64::MAX, Steps::Any), scale(FURTHEST, Steps::Any));
    sound(&Chart::lines(head(1), Unit::Seconds, &[line(1, &[Some(f64::MAX)])], Some((f64::MAX, String::new()))));
}

#[test]
fn shares_are_whole_percents_in_tables() {
    let of = [None, Some(f64::NAN), Some(-1.0), Some(0.0), Some(0.004), Some(0.5), Some(0.996), Some(1.0), Some(9.0)];
    assert_eq!(of.map(percent_of), [0, 0, 0, 0, 0, 50, 100, 100, 100]);
}

proptest! {
    #[test]
    fn any_numbers_give_a_sound_chart(
        values in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0), 0..100_u64, any::<u64>()], 0..80), 0..8),
        places in 0_usize..80,
        numbers in prop::collection::vec(prop::option::of(any::<f64>()), 0..80),
    ) {
        let layers: Vec<Layer> = values.iter().enumerate().map(|(kind, values)| layer(kind, values)).collect();
        sound(&Chart::bars(head(places), &layers));
        for unit in [Unit::Share, Unit::Seconds] {
            sound(&Chart::lines(head(places), unit, &[line(3, &numbers)], numbers.first().copied().flatten().map(|of| (of, String::new()))));
        }
    }
}
