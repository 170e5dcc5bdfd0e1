//! Operations with gradients of their own on burn's tape.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

/// How a gradient is pulled back to `N` inputs: from the output's gradient and which inputs want
/// one, to theirs.
pub(crate) type PullBack<B, const N: usize> =
    Arc<dyn Fn(FloatTensor<B>, [bool; N]) -> [Option<FloatTensor<B>>; N] + Send + Sync>;

/// The backward step of every operation here.
#[derive(Debug)]
struct Recorded;

/// A pull-back as a step's state.
struct State<B: Backend, const N: usize>(PullBack<B, N>);

impl<B: Backend, const N: usize> Clone for State<B, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Backend, const N: usize> std::fmt::Debug for State<B, N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("State")
    }
}

impl<B: Backend, const N: usize> Backward<B, N> for Recorded {
    type State = State<B, N>;

    fn backward(self, ops: Ops<State<B, N>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let pulled = (ops.state.0)(gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(pulled) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Runs `forward` on the inputs and, where one is trained, records its pull-back.
pub(crate) fn record<B: Backend, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    forward: impl FnOnce([FloatTensor<B>; N]) -> (FloatTensor<B>, PullBack<B, N>),
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let (output, pull_back) = forward(inputs.map(|input| input.into_primitive()));
    match Recorded.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(State(pull_back), output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}
