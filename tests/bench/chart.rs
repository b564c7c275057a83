//! A picture of what matters most.

use std::fmt::Write;

use crate::contenders::LONGCABLE;
use crate::figures::Figure;
use crate::study::Study;

const WIDTH: u32 = 760;
const NAMES: u32 = 250;
const BAR: u32 = 18;
const LINE: u32 = 26;
/// The longest bar; to its right is room for its figure.
const LONGEST: u32 = WIDTH - NAMES - 170;

/// Bars for each kind of link: bulk transfer and small packets, each with its ratio to openvpn.
pub(crate) fn svg(studies: &[Study]) -> String {
    let panels = [
        ("TCP, one stream, mean of both directions", "Mbit/s", [Figure::OneStreamAToB, Figure::OneStreamBToA]),
        (
            "64-byte UDP payloads, mean of both directions",
            "1000/s",
            [Figure::SmallPacketsAToB, Figure::SmallPacketsBToA],
        ),
    ];
    let (mut body, mut y) = (String::new(), 12);
    for study in studies {
        for (title, unit, figures) in &panels {
            let bars = bars(study, figures);
            let Some(longest) = bars.iter().map(|bar| bar.value).reduce(f64::max) else { continue };
            y += LINE;
            let link = study.kind.short_title();
            let _ = writeln!(body, "<text class=\"title\" x=\"12\" y=\"{y}\">{link}: {title}, {unit}</text>");
            y += 10;
            for bar in bars {
                bar.draw(&mut body, y, longest);
                y += LINE;
            }
            y += 6;
        }
    }
    let height = y + 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Speed of longcable and others\">\n\
         <style>text {{ font: 13px sans-serif; fill: #24292f }} .title {{ font-weight: bold }} \
         .ours {{ fill: #1a7f37 }} .theirs {{ fill: #8c959f }}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

struct Bar {
    name: &'static str,
    value: f64,
    /// To openvpn.
    ratio: Option<f64>,
}

fn bars(study: &Study, figures: &[Figure]) -> Vec<Bar> {
    let bar = |(place, name)| {
        let value = study.median(place, figures)?;
        Some(Bar { name, value, ratio: study.ratio(place, 0, figures) })
    };
    study.pairs.iter().map(|pair| pair.name).enumerate().filter_map(bar).collect()
}

impl Bar {
    fn draw(&self, out: &mut String, y: u32, longest: f64) {
        let Self { name, value, .. } = self;
        let length = (f64::from(LONGEST) * value / longest).max(1.0);
        let class = if name.starts_with(LONGCABLE) { "ours" } else { "theirs" };
        let baseline = y + 14;
        let ratio = self.ratio.map_or(String::new(), |ratio| format!(" ({ratio:.1}x)"));
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{baseline}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{NAMES}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\"/>\
             <text x=\"{end:.1}\" y=\"{baseline}\">{value:.0}{ratio}</text>",
            x = NAMES - 8,
            end = f64::from(NAMES) + length + 6.0,
        );
    }
}
