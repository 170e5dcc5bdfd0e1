//! Samples, packing, masking, loss, optimizer, schedule, checkpoints and the loop.
