//! What was measured of one kind of link, round by round.

use std::error::Error;

use longcable::demo::lab::interrupted;
use serde_json::{Value, json};

use crate::contenders::{Missing, Pair};
use crate::figures::{Figure, Sample, mean, median};
use crate::kind::Kind;
use crate::lead;
use crate::machine::Steal;
use crate::pair::Bench;

/// A round in which the hypervisor took more than this share of the processors is not counted.
pub(crate) const MOST_STEAL: f64 = 0.03;

/// One kind of link, and who can have it.
pub(crate) struct Study {
    pub(crate) kind: Kind,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) rounds: Vec<Round>,
}

/// Each pair's turn, in one stretch of time.
pub(crate) struct Round {
    /// Share of the processors that the hypervisor took.
    steal: f64,
    /// In the order of the pairs; why a turn failed.
    turns: Vec<Result<Sample, String>>,
}

impl Study {
    /// Each pair has its turn. What fails is kept, and said at the end.
    pub(crate) fn measure(&mut self, bench: &Bench, number: u32, long_haul: bool) -> Result<(), Box<dyn Error>> {
        let (steal, mut turns) = (Steal::start()?, Vec::new());
        for (place, pair) in self.pairs.iter().enumerate() {
            eprint!("{} {}", if place == 0 { "" } else { ";" }, pair.name);
            let turn = bench.measure(&self.kind, pair, lead(number), long_haul && place < 2);
            if interrupted() {
                return Err("interrupted".into());
            }
            if let Err(error) = &turn {
                eprint!(" FAILED: {error}\n ");
            }
            turns.push(turn.map_err(|error| error.to_string()));
        }
        let round = Round { steal: steal.share()?, turns };
        eprintln!("; steal {:.1} %{}", round.steal * 100.0, if round.is_clean() { "" } else { ": dropped" });
        self.rounds.push(round);
        Ok(())
    }

    /// The rounds that count: those without much steal, or all when there is no such one.
    pub(crate) fn counted(&self) -> Vec<&Round> {
        let clean: Vec<&Round> = self.rounds.iter().filter(|round| round.is_clean()).collect();
        if clean.is_empty() { self.rounds.iter().collect() } else { clean }
    }

    /// Which rounds count, in words.
    pub(crate) fn note(&self) -> String {
        let (all, clean) = (self.rounds.len(), self.rounds.iter().filter(|round| round.is_clean()).count());
        let high = format!("more than {:.0} % steal", MOST_STEAL * 100.0);
        match clean {
            0 => format!("all rounds ({all}) had {high}: do not trust these figures"),
            _ => format!("medians; rounds: {all}, of them dropped for {high}: {}", all - clean),
        }
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.name == name)
    }

    /// Median over the rounds that count of the mean of some figures.
    pub(crate) fn median(&self, pair: usize, figures: &[Figure]) -> Option<f64> {
        median(self.counted().iter().filter_map(|round| round.mean(pair, figures)).collect())
    }

    /// Median over the rounds that count of how often a pair's value is that of another in the same round.
    pub(crate) fn ratio(&self, pair: usize, to: usize, figures: &[Figure]) -> Option<f64> {
        let ratio =
            |round: &&Round| Some(round.mean(pair, figures)? / round.mean(to, figures).filter(|value| *value > 0.0)?);
        median(self.counted().iter().filter_map(ratio).collect())
    }

    /// Turns that failed, each pair's last.
    pub(crate) fn failures(&self) -> Vec<(&'static str, &str)> {
        let last = |place: usize| {
            let failed = |round: &'_ Round| round.turns.get(place).is_some_and(Result::is_err);
            let round = self.rounds.iter().rev().find(|round| failed(round))?;
            round.turns.get(place)?.as_ref().err().map(String::as_str)
        };
        let pairs = self.pairs.iter().enumerate();
        pairs.filter_map(|(place, pair)| Some((pair.name, last(place)?))).collect()
    }

    /// Everything, for whoever wants to compute something else.
    pub(crate) fn json(&self) -> Value {
        let sample = |sample: &Sample| -> Value {
            sample.iter().map(|(figure, value)| (figure.label().to_owned(), json!(value))).collect()
        };
        let round = |round: &Round| {
            let turns = round.turns.iter().map(|turn| match turn {
                Ok(values) => sample(values),
                Err(error) => json!({ "failed": error }),
            });
            let pairs: Value = self.pairs.iter().map(|pair| pair.name.to_owned()).zip(turns).collect();
            json!({ "steal": round.steal, "counted": round.is_clean(), "pairs": pairs })
        };
        let missing = |missing: &Missing| json!({ "name": missing.name, "reason": missing.reason });
        json!({
            "protection": self.kind.protection.name(),
            "config": self.kind.config,
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
            "rounds": self.rounds.iter().map(round).collect::<Vec<_>>(),
        })
    }
}

impl Round {
    fn is_clean(&self) -> bool {
        self.steal <= MOST_STEAL
    }

    /// The mean of these figures, if all were measured.
    fn mean(&self, pair: usize, figures: &[Figure]) -> Option<f64> {
        let sample = self.turns.get(pair)?.as_ref().ok()?;
        let value = |figure| sample.iter().find(|(candidate, _)| *candidate == figure).map(|(_, value)| *value);
        let values: Option<Vec<f64>> = figures.iter().map(|figure| value(*figure)).collect();
        mean(&values?)
    }
}
