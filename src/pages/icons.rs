//! Owns the drawings of pages: lines on a 24 by 24 grid, in the colour of the text round them.

macro_rules! line {
    ($($inside:literal),+) => {
        concat!(
            r#"<svg class="icon" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" "#,
            r#"stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">"#,
            $($inside),+, "</svg>"
        )
    };
}

/// A drawing by its name; nothing for a name that is none.
pub(crate) fn icon(name: &str) -> &'static str {
    match name {
        "phone" => {
            line!(
                r#"<path d="M6.6 3.5h2.2a1.5 1.5 0 0 1 1.5 1.2l.6 2.9a1.5 1.5 0 0 1-.5 1.4l-1.5 1.3a12.5 12.5 0 0 0 4.8 4.8"#,
                r#"l1.3-1.5a1.5 1.5 0 0 1 1.4-.5l2.9.6a1.5 1.5 0 0 1 1.2 1.5v2.2a2 2 0 0 1-2.1 2A16.5 16.5 0 0 1 4.6 5.6a2 2 0 0 1 2-2.1z"/>"#
            )
        }
        "hangup" => {
            line!(
                r#"<path d="M3.2 15.4 4.3 16.6a1.5 1.5 0 0 0 1.8.3l2.3-1.2a1.5 1.5 0 0 0 .8-1.3v-1.7a13 13 0 0 1 5.6 0v1.7"#,
                r#"a1.5 1.5 0 0 0 .8 1.3l2.3 1.2a1.5 1.5 0 0 0 1.8-.3l1.1-1.2a1.9 1.9 0 0 0-.1-2.7 13.8 13.8 0 0 0-17.4 0 1.9 1.9 0 0 0-.1 2.7z"/>"#
            )
        }
        "office" => {
            line!(
                r#"<path d="M5 20.5V5a1.5 1.5 0 0 1 1.5-1.5h7A1.5 1.5 0 0 1 15 5v15.5M15 9.5h2.5A1.5 1.5 0 0 1 19 11v9.5M3.5 20.5h17"/>"#,
                r#"<path d="M8.5 7.5h3M8.5 11h3M8.5 14.5h3"/>"#
            )
        }
        "shield" => {
            line!(
                r#"<path d="M12 3.2 5 5.8v5.4c0 4.4 2.9 7.7 7 9.6 4.1-1.9 7-5.2 7-9.6V5.8z"/><path d="m9 12 2.1 2.1L15.2 10"/>"#
            )
        }
        "plus" => line!(r#"<path d="M12 5.5v13M5.5 12h13"/>"#),
        "check" => line!(r#"<path d="m5.5 12.5 4.3 4.3 8.7-9.3"/>"#),
        "cross" => line!(r#"<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>"#),
        "warning" => {
            line!(
                r#"<path d="M12 4.5 3.3 19a.8.8 0 0 0 .7 1.2h16a.8.8 0 0 0 .7-1.2z"/><path d="M12 10v4.5M12 17.3v.1"/>"#
            )
        }
        "clock" => line!(r#"<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>"#),
        "shield-off" => {
            line!(
                r#"<path d="M12 3.2 5 5.8v5.4c0 4.4 2.9 7.7 7 9.6 4.1-1.9 7-5.2 7-9.6V5.8z"/><path d="m9.5 9.5 5 5M14.5 9.5l-5 5"/>"#
            )
        }
        "list" => line!(r#"<path d="M8.5 6.5h11M8.5 12h11M8.5 17.5h11M4.5 6.5h.1M4.5 12h.1M4.5 17.5h.1"/>"#),
        "sound" => {
            line!(r#"<path d="M4 9.5v5h3.2L12 18.5v-13L7.2 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11"/>"#)
        }
        "mute" => line!(r#"<path d="M4 9.5v5h3.2L12 18.5v-13L7.2 9.5zM16 9.5l5 5M21 9.5l-5 5"/>"#),
        "auto" => line!(r#"<rect x="3.5" y="5" width="17" height="11.5" rx="1.5"/><path d="M9 20h6M12 16.5V20"/>"#),
        "light" => {
            line!(
                r#"<circle cx="12" cy="12" r="3.8"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>"#
            )
        }
        "dark" => line!(r#"<path d="M20 14.3A8.3 8.3 0 0 1 9.7 4a8.3 8.3 0 1 0 10.3 10.3z"/>"#),
        _ => "",
    }
}
