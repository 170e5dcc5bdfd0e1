//! The driver's functions that CubeCL calls, by their names. Any other is missing from the library, and
//! whoever asks for it says so.
#![allow(non_snake_case, clippy::missing_safety_doc)]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::copies::{MAGIC, TensorMap};
use crate::memory;
use crate::program::{self, Program};
use crate::ptx::{self, Space};
use crate::stream::{Event, FAULT, Stream, launch, report_at_end};

type Status = c_int;
const SUCCESS: Status = 0;
const INVALID_VALUE: Status = 1;
const OUT_OF_MEMORY: Status = 2;
const INVALID_PTX: Status = 218;
const NOT_FOUND: Status = 500;

/// Streams, by their handles; the default one is 0.
static STREAMS: LazyLock<Mutex<HashMap<usize, Arc<Stream>>>> =
    LazyLock::new(|| Mutex::new(HashMap::from([(0, Arc::new(Stream::new()))])));
static EVENTS: LazyLock<Mutex<HashMap<usize, Arc<Event>>>> = LazyLock::new(Default::default);
static PINNED: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Default::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handle() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed) as usize * 16
}

fn stream(handle: usize) -> Arc<Stream> {
    locked(&STREAMS).get(&handle).cloned().expect("a stream that was created")
}

fn event(handle: usize) -> Arc<Event> {
    locked(&EVENTS).get(&handle).cloned().expect("an event that was created")
}

/// A call's own status, unless a kernel failed before.
fn status(own: Status) -> Status {
    match FAULT.load(Ordering::SeqCst) {
        0 => own,
        fault => fault,
    }
}

unsafe fn give<T>(place: *mut T, value: T) -> Status {
    // SAFETY: the caller gives a place for the result.
    unsafe { place.write(value) };
    status(SUCCESS)
}

fn wait_for_all() {
    let streams: Vec<_> = locked(&STREAMS).values().cloned().collect();
    streams.iter().for_each(|stream| stream.wait());
}

/// Compute capability: `CUDA_SOFTWARE_ARCH`, else 90.
fn arch() -> c_int {
    std::env::var("CUDA_SOFTWARE_ARCH").ok().and_then(|arch| arch.parse().ok()).unwrap_or(90)
}

fn attribute(which: c_int) -> Option<c_int> {
    Some(match which {
        1 => 1024,
        2 | 3 => 1024,
        4 => 64,
        5 => i32::MAX,
        6 | 7 => 65535,
        8 => 48 << 10,
        10 => 32,
        // Few, as on no card: CubeCL measures a device by what fills all of them.
        16 => 4,
        75 => arch() / 10,
        76 => arch() % 10,
        97 if arch() >= 90 => 227 << 10,
        97 => 163 << 10,
        115 => 1,
        _ => return None,
    })
}

macro_rules! driver {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {
        $($(#[$meta])* #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> Status {
            // SAFETY: each function's arguments are what CUDA's documentation says.
            #[allow(unused_unsafe)]
            unsafe { $body }
        })*
    };
}

driver! {
    fn cuInit(_flags: c_uint) { report_at_end(); SUCCESS }
    /// NVRTC asks for it: the driver has no tables that are not documented.
    fn cuGetExportTable(place: *mut *const c_void, _id: *const c_void) {
        give(place, std::ptr::null());
        NOT_FOUND
    }
    fn cuDriverGetVersion(version: *mut c_int) { give(version, 13000) }
    fn cuDeviceGetCount(count: *mut c_int) { give(count, 1) }
    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        if ordinal == 0 { give(device, 0) } else { 101 }
    }
    fn cuDeviceGetAttribute(value: *mut c_int, which: c_int, _device: c_int) {
        match attribute(which) {
            Some(found) => give(value, found),
            None => {
                eprintln!("cuda-software: the device attribute {which} is not known");
                INVALID_VALUE
            }
        }
    }
    fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) {
        copy_text(&format!("no card: cuda-software as sm_{}", arch()), name, length)
    }
    fn cuDeviceGetPCIBusId(name: *mut c_char, length: c_int, _device: c_int) {
        copy_text("0000:00:00.0", name, length)
    }
    fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) { give(bytes, memory::total()) }
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        give(free, memory::total() - memory::used().0);
        give(total, memory::total())
    }
    fn cuDevicePrimaryCtxRetain(context: *mut usize, _device: c_int) { give(context, 16) }
    fn cuDevicePrimaryCtxRelease_v2(_device: c_int) { SUCCESS }
    fn cuCtxSetCurrent(_context: usize) { status(SUCCESS) }
    fn cuCtxGetCurrent(context: *mut usize) { give(context, 16) }
    fn cuCtxSynchronize() { wait_for_all(); status(SUCCESS) }
    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) {
        give(least, 0);
        give(greatest, -5)
    }

    fn cuMemAlloc_v2(place: *mut u64, size: usize) {
        match memory::allocate(size) {
            Some(at) => give(place, at),
            None => status(OUT_OF_MEMORY),
        }
    }
    fn cuMemAllocAsync(place: *mut u64, size: usize, _stream: usize) { cuMemAlloc_v2(place, size) }
    fn cuMemFree_v2(at: u64) {
        wait_for_all();
        if memory::free(at) { status(SUCCESS) } else { INVALID_VALUE }
    }
    fn cuMemFreeAsync(at: u64, on: usize) {
        stream(on).push(move || assert!(memory::free(at), "what is freed was allocated"));
        status(SUCCESS)
    }
    fn cuMemAllocHost_v2(place: *mut *mut c_void, size: usize) {
        let layout = std::alloc::Layout::from_size_align(size.max(1), 4096).expect("a size in memory");
        let at = std::alloc::alloc(layout);
        locked(&PINNED).insert(at as usize, size);
        give(place, at.cast())
    }
    fn cuMemFreeHost(at: *mut c_void) {
        wait_for_all();
        let Some(size) = locked(&PINNED).remove(&(at as usize)) else { return INVALID_VALUE };
        let layout = std::alloc::Layout::from_size_align(size.max(1), 4096).expect("as it was allocated");
        std::alloc::dealloc(at.cast(), layout);
        SUCCESS
    }
    fn cuMemcpyHtoDAsync_v2(target: u64, source: *const c_void, size: usize, on: usize) {
        copy_2d(Sides { from: source as u64, to: target, host: Some(true) }, [size, size, size, 1], on)
    }
    fn cuMemcpyDtoHAsync_v2(target: *mut c_void, source: u64, size: usize, on: usize) {
        copy_2d(Sides { from: source, to: target as u64, host: Some(false) }, [size, size, size, 1], on)
    }
    fn cuMemcpyDtoDAsync_v2(target: u64, source: u64, size: usize, on: usize) {
        copy_2d(Sides { from: source, to: target, host: None }, [size, size, size, 1], on)
    }
    fn cuMemcpy2DAsync_v2(copy: *const Copy2d, on: usize) {
        let copy = &*copy;
        let from_host = copy.from.kind == 1;
        let from = if from_host { copy.from.host as u64 } else { copy.from.device };
        let to = if copy.to.kind == 1 { copy.to.host as u64 } else { copy.to.device };
        let sides = Sides { from, to, host: (from_host || copy.to.kind == 1).then_some(from_host) };
        if copy.from.x | copy.from.y | copy.to.x | copy.to.y != 0 {
            return INVALID_VALUE;
        }
        copy_2d(sides, [copy.from.pitch, copy.to.pitch, copy.width, copy.height], on)
    }
    fn cuMemsetD8Async(at: u64, value: u8, size: usize, on: usize) {
        stream(on).push(move || {
            assert!(memory::ranges().find(at, size as u64).is_some(), "memory that is set was allocated");
            (at as *mut u8).write_bytes(value, size);
        });
        status(SUCCESS)
    }

    fn cuStreamCreate(place: *mut usize, _flags: c_uint) {
        let handle = handle();
        locked(&STREAMS).insert(handle, Arc::new(Stream::new()));
        give(place, handle)
    }
    fn cuStreamCreateWithPriority(place: *mut usize, flags: c_uint, _priority: c_int) { cuStreamCreate(place, flags) }
    fn cuStreamDestroy_v2(handle: usize) {
        stream(handle).wait();
        locked(&STREAMS).remove(&handle);
        SUCCESS
    }
    fn cuStreamSynchronize(handle: usize) { stream(handle).wait(); status(SUCCESS) }
    fn cuStreamWaitEvent(on: usize, awaited: usize, _flags: c_uint) {
        let event = event(awaited);
        let number = event.recorded();
        stream(on).push(move || event.wait(number));
        status(SUCCESS)
    }
    fn cuEventCreate(place: *mut usize, _flags: c_uint) {
        let handle = handle();
        locked(&EVENTS).insert(handle, Arc::default());
        give(place, handle)
    }
    fn cuEventDestroy_v2(handle: usize) {
        locked(&EVENTS).remove(&handle);
        SUCCESS
    }
    fn cuEventRecord(handle: usize, on: usize) {
        event(handle).record(&stream(on));
        status(SUCCESS)
    }
    fn cuEventSynchronize(handle: usize) {
        let event = event(handle);
        event.wait(event.recorded());
        status(SUCCESS)
    }
    fn cuEventQuery(handle: usize) { cuEventSynchronize(handle) }
    fn cuEventElapsedTime_v2(place: *mut f32, start: usize, end: usize) {
        let (Some(start), Some(end)) = (event(start).time(), event(end).time()) else { return INVALID_VALUE };
        give(place, end.saturating_duration_since(start).as_secs_f32() * 1e3)
    }
    fn cuEventElapsedTime(place: *mut f32, start: usize, end: usize) { cuEventElapsedTime_v2(place, start, end) }

    fn cuModuleLoadData(place: *mut *const Loaded, image: *const c_void) {
        let text = CStr::from_ptr(image.cast()).to_string_lossy();
        match load(&text) {
            Ok(loaded) => give(place, Box::into_raw(Box::new(loaded)).cast_const()),
            Err(why) => {
                // What this driver cannot do is not what a card cannot do: nothing may go on as if it were.
                eprintln!("cuda-software: {why}");
                if std::env::var_os("CUDA_SOFTWARE_LENIENT").is_some() { INVALID_PTX } else { std::process::abort() }
            }
        }
    }
    fn cuModuleUnload(_module: *const Loaded) { SUCCESS }
    fn cuModuleGetFunction(place: *mut *const Program, module: *const Loaded, name: *const c_char) {
        let name = CStr::from_ptr(name).to_string_lossy();
        match (*module).0.iter().find(|program| program.name == name) {
            Some(program) => give(place, std::ptr::from_ref(*program)),
            None => NOT_FOUND,
        }
    }
    fn cuFuncSetAttribute(_function: *const Program, which: c_int, value: c_int) {
        // The most shared memory of a launch.
        let most = attribute(97).unwrap_or(0);
        if which == 8 && value <= most { status(SUCCESS) } else { INVALID_VALUE }
    }
    fn cuLaunchKernel(
        function: *const Program,
        grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared: c_uint, on: usize, arguments: *const *const u8, extra: *const *const c_void,
    ) {
        let (program, grid, block): (&'static Program, _, _) =
            (&*function, [grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let most = attribute(97).unwrap_or(0) as usize;
        let fits = grid.iter().all(|&n| n > 0) && grid_y <= 65535 && grid_z <= 65535
            && block.iter().product::<u32>() <= 1024 && block.iter().all(|&n| n > 0)
            && program.shared + shared as usize <= most && extra.is_null();
        if !fits {
            return status(INVALID_VALUE);
        }
        let mut params = vec![0u8; program.param_bytes];
        for (index, &(offset, size)) in program.params.iter().enumerate() {
            (*arguments.add(index)).copy_to_nonoverlapping(params[offset..].as_mut_ptr(), size);
        }
        stream(on).push(move || launch(program, &params, grid, block, shared as usize));
        status(SUCCESS)
    }

    fn cuTensorMapEncodeTiled(
        place: *mut TensorMap, kind: c_uint, rank: c_uint, base: u64, sizes: *const u64, strides: *const u64,
        boxes: *const u32, steps: *const u32, interleave: c_uint, swizzle: c_uint, _promotion: c_uint, fill: c_uint,
    ) {
        let rank = rank as usize;
        let element = match kind { 0 => 1, 1 | 6 | 9 => 2, 2 | 3 | 7 | 10 | 11 | 12 => 4, 4 | 5 | 8 => 8, _ => 0 };
        if !(1..=5).contains(&rank) || element == 0 || interleave != 0 || swizzle > 3 || fill != 0 || !base.is_multiple_of(16) {
            eprintln!("cuda-software: a tensor map of kind {kind}, rank {rank}, swizzle {swizzle} is not known");
            return INVALID_VALUE;
        }
        let mut map = TensorMap {
            base, sizes: [1; 5], strides: [0; 4], boxes: [1; 5],
            rank: rank as u8, element, swizzle: swizzle as u8, magic: MAGIC,
        };
        for axis in 0..rank {
            map.sizes[axis] = *sizes.add(axis);
            let size = *boxes.add(axis);
            if size == 0 || size > 256 || *steps.add(axis) != 1 {
                return INVALID_VALUE;
            }
            map.boxes[axis] = size as u16;
            if axis > 0 {
                let stride = *strides.add(axis - 1);
                if !stride.is_multiple_of(16) || stride > u64::from(u32::MAX) {
                    return INVALID_VALUE;
                }
                map.strides[axis - 1] = stride as u32;
            }
        }
        let inner = u32::from(map.boxes[0]) * u32::from(element);
        if inner % 16 != 0 || swizzle > 0 && inner > 16 << swizzle {
            return INVALID_VALUE;
        }
        give(place, map)
    }

    fn cuGetErrorName(error: Status, place: *mut *const c_char) { give(place, error_name(error).as_ptr()); SUCCESS }
    fn cuGetErrorString(error: Status, place: *mut *const c_char) { give(place, error_name(error).as_ptr()); SUCCESS }
}

fn error_name(error: Status) -> &'static CStr {
    match error {
        0 => c"CUDA_SUCCESS",
        1 => c"CUDA_ERROR_INVALID_VALUE",
        2 => c"CUDA_ERROR_OUT_OF_MEMORY",
        101 => c"CUDA_ERROR_INVALID_DEVICE",
        218 => c"CUDA_ERROR_INVALID_PTX",
        500 => c"CUDA_ERROR_NOT_FOUND",
        700 => c"CUDA_ERROR_ILLEGAL_ADDRESS",
        _ => c"CUDA_ERROR_UNKNOWN",
    }
}

unsafe fn copy_text(text: &str, place: *mut c_char, length: c_int) -> Status {
    let kept = &text.as_bytes()[..text.len().min(length as usize - 1)];
    // SAFETY: the caller's place has `length` bytes.
    unsafe {
        kept.as_ptr().copy_to_nonoverlapping(place.cast(), kept.len());
        place.add(kept.len()).write(0);
    }
    status(SUCCESS)
}

/// One side of `CUDA_MEMCPY2D`.
#[repr(C)]
pub struct Side2d {
    x: usize,
    y: usize,
    kind: c_uint,
    host: *const c_void,
    device: u64,
    array: usize,
    pitch: usize,
}

#[repr(C)]
pub struct Copy2d {
    from: Side2d,
    to: Side2d,
    width: usize,
    height: usize,
}

/// Addresses of a copy, and whether the source or the target is the host's.
struct Sides {
    from: u64,
    to: u64,
    host: Option<bool>,
}

fn is_pinned(at: u64, size: usize) -> bool {
    locked(&PINNED)
        .iter()
        .any(|(&from, &whole)| from as u64 <= at && at + size as u64 <= (from + whole) as u64)
}

/// Copies `height` rows of `width` bytes. As the driver does, memory that is not pinned is read before the
/// call returns, and written before it returns.
unsafe fn copy_2d(
    sides: Sides,
    [from_pitch, to_pitch, width, height]: [usize; 4],
    on: usize,
) -> Status {
    let Sides { from, to, host } = sides;
    let span = move |pitch: usize| pitch * (height - 1) + width;
    if width == 0 || height == 0 {
        return status(SUCCESS);
    }
    let rows = move |from: u64, to: u64| {
        for row in 0..height {
            let (from, to) = (from as usize + row * from_pitch, to as usize + row * to_pitch);
            // SAFETY: both were checked: the device's side below, the host's is the caller's word.
            unsafe { std::ptr::copy(from as *const u8, to as *mut u8, width) };
        }
    };
    let fine = move || {
        let memory = memory::ranges();
        let from_fine = host == Some(true) || memory.find(from, span(from_pitch) as u64).is_some();
        let to_fine = host == Some(false) || memory.find(to, span(to_pitch) as u64).is_some();
        if !(from_fine && to_fine) {
            eprintln!(
                "cuda-software: a copy of {height} x {width} bytes from {from:#x} to {to:#x} leaves what is allocated"
            );
            FAULT.store(crate::stream::ILLEGAL_ADDRESS, Ordering::SeqCst);
        }
        from_fine && to_fine
    };
    let on = stream(on);
    match host {
        Some(true) if !is_pinned(from, span(from_pitch)) => {
            let mut kept = vec![0u8; span(from_pitch)];
            // SAFETY: the caller's memory has these bytes.
            unsafe { (from as *const u8).copy_to_nonoverlapping(kept.as_mut_ptr(), kept.len()) };
            on.push(move || {
                if fine() {
                    rows(kept.as_ptr() as u64, to)
                }
            });
        }
        Some(false) if !is_pinned(to, span(to_pitch)) => {
            on.push(move || {
                if fine() {
                    rows(from, to)
                }
            });
            on.wait();
        }
        _ => on.push(move || {
            if fine() {
                rows(from, to)
            }
        }),
    }
    status(SUCCESS)
}

/// The kernels of a module.
pub struct Loaded(Vec<&'static Program>);

fn load(text: &str) -> Result<Loaded, String> {
    let module = ptx::parse(text)?;
    let mut globals = HashMap::new();
    for variable in module.variables.iter().filter(|variable| variable.space == Space::Global) {
        let at =
            memory::allocate(variable.size.max(1)).ok_or("no memory for a module's variables")?;
        // SAFETY: as many bytes were allocated.
        unsafe {
            (at as *mut u8).write_bytes(0, variable.size);
            variable.bytes.as_ptr().copy_to_nonoverlapping(at as *mut u8, variable.bytes.len());
        }
        globals.insert(variable.name.clone(), at);
    }
    let mut programs = Vec::new();
    for kernel in &module.kernels {
        keep(&kernel.name, text);
        let program = program::build(&module, kernel, &globals)
            .map_err(|why| format!("kernel `{}`: {why}", kernel.name))?;
        programs.push(&*Box::leak(Box::new(program)));
    }
    Ok(Loaded(programs))
}

/// Writes the PTX below the folder `CUDA_SOFTWARE_KEEP`, once for each text.
fn keep(name: &str, text: &str) {
    let Some(folder) = std::env::var_os("CUDA_SOFTWARE_KEEP") else { return };
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let short = &name[..name.len().min(120)];
    let path = std::path::Path::new(&folder).join(format!("{short}-{hash:016x}.ptx"));
    if !path.exists() && std::fs::write(&path, text).is_err() {
        eprintln!("cuda-software: {} cannot be written", path.display());
    }
}
