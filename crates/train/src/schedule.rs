//! The learning rate, a pure function of the step.

use crate::{Decay, ScheduleConfig};

/// A learning-rate schedule over a known number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    peak: f64,
    warmup_steps: u64,
    total_steps: u64,
    decay: Decay,
}

impl Schedule {
    /// The schedule of `config` with the highest rate `peak` over `total_steps`.
    pub fn new(config: &ScheduleConfig, peak: f64, total_steps: u64) -> Self {
        let share = (config.warmup_fraction * total_steps as f64).round() as u64;
        let warmup_steps = config.warmup_steps.unwrap_or(share).min(total_steps);
        Self { peak, warmup_steps, total_steps, decay: config.decay }
    }

    /// The rate of update `step`, where the first update is step 0.
    ///
    /// Source: `get_linear_schedule_with_warmup` of Hugging Face transformers, which starts the
    /// rise at 0 and reaches the peak at update `warmup_steps`.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let left = self.total_steps.saturating_sub(step) as f64;
        let share = left / (self.total_steps - self.warmup_steps).max(1) as f64;
        match self.decay {
            Decay::Linear => self.peak * share,
            Decay::Cosine => self.peak * 0.5 * (1.0 - (std::f64::consts::PI * share).cos()),
            Decay::Constant => self.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, steps: &[u64]) -> Vec<f64> {
        let config = ScheduleConfig { warmup_steps: Some(2), decay, ..ScheduleConfig::default() };
        let schedule = Schedule::new(&config, 1.0, 6);
        steps.iter().map(|&step| schedule.rate(step)).collect()
    }

    #[test]
    fn linear_rises_to_the_peak_and_falls_to_zero() {
        assert_eq!(rates(Decay::Linear, &[0, 1, 2, 4, 6]), [0.0, 0.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn cosine_is_at_half_in_the_middle_and_constant_stays() {
        let cosine = rates(Decay::Cosine, &[2, 4, 6]);
        assert!((cosine[0] - 1.0).abs() < 1e-12 && (cosine[1] - 0.5).abs() < 1e-12);
        assert_eq!(rates(Decay::Constant, &[2, 5]), [1.0, 1.0]);
    }

    #[test]
    fn a_fraction_of_the_steps_is_the_warm_up() {
        let config = ScheduleConfig { warmup_fraction: 0.5, ..ScheduleConfig::default() };
        assert_eq!(Schedule::new(&config, 2.0, 10).rate(5), 2.0);
    }
}
