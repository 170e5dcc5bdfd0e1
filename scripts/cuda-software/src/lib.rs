//! `libcuda.so.1` without a card: CUDA's driver, its kernels run on the processor.
//!
//! The PTX that the driver is given is read and run as it stands, 32 lanes at a time, with every address
//! checked and races in shared memory found. It shows whether kernels compile and compute what they
//! should; of a card's speed, its memory and the rounding of its matrix units it says nothing.

mod convert;
mod copies;
mod driver;
mod floats;
mod flow;
mod integers;
mod lanes;
mod matrix;
mod memory;
mod moves;
mod program;
mod ptx;
mod stream;
mod warp;

#[cfg(test)]
mod tests;
