//! PTX written here, run, and what it must do.

use crate::program::build;
use crate::ptx::parse;
use crate::warp::{Launch, Worker};

/// Runs a kernel on one block of `threads`, with the address of `memory` as its argument.
fn run(body: &str, threads: u32, memory: &mut [u32]) -> Result<(), String> {
    let text = format!(
        ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k(\n.param .u64 k_param_0\n)\n{{\n{body}\n}}\n"
    );
    let module = parse(&text)?;
    let program = build(&module, &module.kernels[0], &Default::default())?;
    let at = memory.as_mut_ptr() as u64;
    let launch = Launch {
        program: &program,
        params: &at.to_le_bytes(),
        grid: [1; 3],
        block: [threads, 1, 1],
        dynamic_shared: 0,
        memory: crate::memory::Ranges::of(vec![(at, at + 4 * memory.len() as u64)]),
    };
    Worker::new(&launch).run([0; 3])
}

/// `%rd2` is the address of this thread's word, `%r1` its number.
const OWN: &str =
    ".reg .pred %p<9>; .reg .b32 %r<20>; .reg .f32 %f<20>; .reg .b64 %rd<20>; .reg .b16 %rs<9>;
    ld.param.u64 %rd1, [k_param_0];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd3, %r1, 4;
    add.s64 %rd2, %rd1, %rd3;\n";

/// What each of `threads` threads leaves in its word of `before`.
fn words(body: &str, mut before: Vec<u32>) -> Vec<u32> {
    run(&format!("{OWN}{body}\nret;"), before.len() as u32, &mut before).unwrap();
    before
}

#[test]
fn lanes_that_part_meet_again() {
    let body = "setp.lt.u32 %p1, %r1, 20;
        @%p1 bra $L1;
        mov.u32 %r2, 100;
        bra.uni $L2;
        $L1:
        mov.u32 %r3, 0;
        mov.u32 %r2, 0;
        $L3:
        add.s32 %r2, %r2, 2;
        add.s32 %r3, %r3, 1;
        setp.lt.u32 %p2, %r3, %r1;
        @%p2 bra $L3;
        $L2:
        vote.sync.ballot.b32 %r4, %p1, 0xffffffff;
        and.b32 %r4, %r4, 65536;
        add.s32 %r2, %r2, %r4;
        st.global.u32 [%rd2], %r2;";
    let expected: Vec<u32> =
        (0..32).map(|t| 65536 + if t < 20 { 2 * t.max(1) } else { 100 }).collect();
    assert_eq!(words(body, vec![0; 32]), expected);
}

/// 64 threads: each writes its number, reads its neighbour's.
fn through_shared(barrier: &str) -> Result<Vec<u32>, String> {
    let body = format!(
        "{OWN}.shared .align 4 .b8 s[256];
        mov.u32 %r2, s;
        shl.b32 %r3, %r1, 2;
        add.s32 %r4, %r2, %r3;
        st.shared.u32 [%r4], %r1;
        {barrier}
        xor.b32 %r5, %r3, 128;
        add.s32 %r6, %r2, %r5;
        ld.shared.u32 %r7, [%r6];
        st.global.u32 [%rd2], %r7;
        ret;"
    );
    let mut memory = vec![0; 64];
    run(&body, 64, &mut memory).map(|()| memory)
}

#[test]
fn a_missing_barrier_is_found() {
    let fine = through_shared("bar.sync 0;").unwrap();
    assert_eq!(fine, (0..64).map(|t| t ^ 32).collect::<Vec<u32>>());
    let fault = through_shared("").unwrap_err();
    assert!(fault.contains("a race in shared memory"), "{fault}");
}

#[test]
fn an_address_outside_is_found_and_named() {
    let body = format!("{OWN}ld.global.u32 %r2, [%rd2+64];\nst.global.u32 [%rd2], %r2;\nret;");
    let fault = run(&body, 32, &mut [0; 32]).unwrap_err();
    assert!(fault.starts_with("illegal address") && fault.contains("lane 16"), "{fault}");
    assert!(
        fault.contains("it is 128 bytes after") && fault.contains("where 128 are allocated"),
        "{fault}"
    );
    let fault = run(
        &format!("{OWN}add.s64 %rd2, %rd2, 2;\nld.global.u32 %r2, [%rd2];\nret;"),
        32,
        &mut [0; 32],
    );
    assert!(fault.unwrap_err().starts_with("misaligned"));
}

#[test]
fn lanes_that_are_named_and_not_here_are_found() {
    let body = format!(
        "{OWN}setp.lt.u32 %p1, %r1, 16;
        @%p1 shfl.sync.bfly.b32 %r2|%p2, %r1, 1, 31, -1;
        ret;"
    );
    let fault = run(&body, 32, &mut [0; 32]).unwrap_err();
    assert!(fault.contains("lanes 0xffffffff are to meet, 0xffff are here"), "{fault}");
}

#[test]
fn what_is_not_known_is_named() {
    let fault =
        run(&format!("{OWN}tex.2d.v4.f32 %r1, [%rd1];\nret;"), 32, &mut [0; 32]).unwrap_err();
    assert!(fault.contains("not known in `tex.2d.v4.f32"), "{fault}");
}

#[test]
fn sixteen_bit_floats_round_to_the_nearest_even() {
    use crate::lanes::{Bf16, F16, Small};
    for bits in 0..=u16::MAX {
        let (b, h) = (Bf16(bits).up(), F16(bits).up());
        assert!(b.is_nan() || Bf16::down(b).0 == bits, "{bits:#x}");
        assert!(h.is_nan() || F16::down(h).0 == bits, "{bits:#x}");
    }
    assert_eq!(Bf16::down(1.0 + 1.0 / 256.0).0, 0x3F80);
    assert_eq!(Bf16::down(1.0 + 3.0 / 256.0).0, 0x3F82);
    assert_eq!(F16::down(65519.9).0, 0x7BFF);
    assert_eq!(F16::down(65520.0).0, 0x7C00);
    assert_eq!(F16::down(2f32.powi(-25)).0, 0);
    assert_eq!(F16::down(2f32.powi(-25) * 1.01).0, 1);
    assert_eq!(F16(0x3C01).up(), 1.0 + 1.0 / 1024.0);
}

/// Small whole numbers, which bf16 holds and whose sums f32 holds.
fn number(row: usize, column: usize) -> i32 {
    ((row * 7 + column * 3) % 11) as i32 - 5
}

fn bf16(value: i32) -> u32 {
    (value as f32).to_bits() >> 16
}

/// The documented places of a lane's values in `mma.m16n8k16`: A's and B's pairs, C's single ones.
fn documented(lane: usize) -> ([(usize, usize); 8], [(usize, usize); 4], [(usize, usize); 4]) {
    let (group, thread) = (lane >> 2, lane % 4);
    let a = std::array::from_fn(|i| {
        let row = if i < 2 || (4..6).contains(&i) { group } else { group + 8 };
        (row, thread * 2 + (i & 1) + if i >= 4 { 8 } else { 0 })
    });
    let b = std::array::from_fn(|i| (thread * 2 + (i & 1) + if i >= 2 { 8 } else { 0 }, group));
    let c = std::array::from_fn(|i| (if i < 2 { group } else { group + 8 }, thread * 2 + (i & 1)));
    (a, b, c)
}

#[test]
fn a_product_of_a_warp_is_the_documented_one() {
    // Ten words a lane: four of A, two of B, four of C, which the sum replaces.
    let body = format!(
        "{OWN}mul.wide.u32 %rd3, %r1, 40;
        add.s64 %rd2, %rd1, %rd3;
        ld.global.v2.b32 {{%r2, %r3}}, [%rd2];
        ld.global.v2.b32 {{%r4, %r5}}, [%rd2+8];
        ld.global.v2.b32 {{%r6, %r7}}, [%rd2+16];
        ld.global.v2.b32 {{%r8, %r9}}, [%rd2+24];
        ld.global.v2.b32 {{%r10, %r11}}, [%rd2+32];
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {{%r8, %r9, %r10, %r11}}, {{%r2, %r3, %r4, %r5}}, {{%r6, %r7}}, {{%r8, %r9, %r10, %r11}};
        st.global.v2.b32 [%rd2+24], {{%r8, %r9}};
        st.global.v2.b32 [%rd2+32], {{%r10, %r11}};
        ret;"
    );
    let mut memory = Vec::new();
    for lane in 0..32 {
        let (a, b, c) = documented(lane);
        let pair = |[low, high]: [(usize, usize); 2]| {
            bf16(number(low.0, low.1)) | bf16(number(high.0, high.1)) << 16
        };
        memory.extend(
            a.as_chunks::<2>().0.iter().chain(b.as_chunks::<2>().0).map(|&both| pair(both)),
        );
        memory.extend(c.map(|(row, column)| ((row + column) as f32).to_bits()));
    }
    run(&body, 32, &mut memory).unwrap();
    for lane in 0..32 {
        for (place, (row, column)) in documented(lane).2.into_iter().enumerate() {
            let product: i32 = (0..16).map(|k| number(row, k) * number(k, column)).sum();
            let found = f32::from_bits(memory[lane * 10 + 6 + place]);
            assert_eq!(
                found,
                (product + (row + column) as i32) as f32,
                "lane {lane}, value {place}"
            );
        }
    }
}

#[test]
fn rows_of_a_matrix_come_as_a_product_wants_them() {
    // 16 x 16 bf16 in shared memory; each lane names a row of one of four 8 x 8 matrices.
    let body = format!(
        "{OWN}.shared .align 16 .b8 s[512];
        mov.u32 %r2, s;
        shl.b32 %r3, %r1, 4;
        add.s32 %r4, %r2, %r3;
        mul.wide.u32 %rd3, %r1, 16;
        add.s64 %rd2, %rd1, %rd3;
        ld.global.v4.b32 {{%r5, %r6, %r7, %r8}}, [%rd2];
        st.shared.v4.b32 [%r4], {{%r5, %r6, %r7, %r8}};
        bar.sync 0;
        and.b32 %r9, %r1, 15;
        shl.b32 %r9, %r9, 5;
        and.b32 %r10, %r1, 16;
        add.s32 %r9, %r9, %r10;
        add.s32 %r4, %r2, %r9;
        ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r5, %r6, %r7, %r8}}, [%r4];
        st.global.v4.b32 [%rd2], {{%r5, %r6, %r7, %r8}};
        ret;"
    );
    let mut memory: Vec<u32> = (0..128).map(|word| (2 * word) | (2 * word + 1) << 16).collect();
    run(&body, 32, &mut memory).unwrap();
    for lane in 0..32 {
        for (place, (row, column)) in documented(lane).0.into_iter().enumerate() {
            let word = memory[lane * 4 + place / 2];
            assert_eq!(
                (word >> (16 * (place % 2)) & 0xFFFF) as usize,
                row * 16 + column,
                "lane {lane}, value {place}"
            );
        }
    }
}

#[test]
fn a_copy_is_there_only_when_it_was_waited_for() {
    let copied = |wait: &str| {
        let body = format!(
            "{OWN}.shared .align 16 .b8 s[128];
            mov.u32 %r2, s;
            shl.b32 %r3, %r1, 2;
            add.s32 %r4, %r2, %r3;
            cp.async.ca.shared.global [%r4], [%rd2], 4, 4;
            cp.async.commit_group;
            {wait}
            ld.shared.u32 %r5, [%r4];
            add.s32 %r5, %r5, 1;
            st.global.u32 [%rd2], %r5;
            ret;"
        );
        let mut memory: Vec<u32> = (0..32).collect();
        run(&body, 32, &mut memory).map(|()| memory)
    };
    assert_eq!(copied("cp.async.wait_group 0;").unwrap(), (1..33).collect::<Vec<u32>>());
    assert_eq!(copied("cp.async.wait_group 1;").unwrap(), vec![0; 32], "all ones, and one more");
}

#[test]
fn memory_has_an_end_and_is_counted() {
    use crate::memory::{allocate, free, ranges, total, used};
    assert_eq!(allocate(total() + 1), None);
    let before = used().0;
    let at = allocate(1000).unwrap();
    assert_eq!(used().0, before + 1000);
    assert!(ranges().find(at + 999, 1).is_some() && ranges().find(at + 999, 2).is_none());
    assert!(free(at) && !free(at), "once");
    assert_eq!(used().0, before);
}

#[test]
fn a_stream_waits_for_what_another_has_recorded() {
    use crate::stream::{Event, Stream};
    use std::sync::{Arc, Mutex};
    let (slow, quick) = (Stream::new(), Stream::new());
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(what)
    };
    slow.push(|| std::thread::sleep(std::time::Duration::from_millis(50)));
    slow.push(note("first"));
    let event = Arc::new(Event::default());
    event.record(&slow);
    let number = event.recorded();
    let waited = Arc::clone(&event);
    quick.push(move || waited.wait(number));
    quick.push(note("second"));
    quick.wait();
    assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    assert!(event.time().is_some());
}
