// GPU kernels that replace several libtorch launches each. NVRTC compiles this file when the trainer starts. With
// SWEEP_HOST, a C++ compiler compiles it and the threads run one after the other, so that tests on a CPU run the same
// source.
//
// Dropout masks equal those on a CPU: see crates/sweep-kernels/src/chance.rs and gate.rs. Threads do not wait for each
// other, and no sum depends on the order of execution.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef SWEEP_HOST
#include <cmath>
#include <cstring>
namespace {
struct Index {
    u32 x;
};
thread_local Index blockIdx, threadIdx;
u32 bits_of(float value) {
    u32 bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
float of_bits(u32 bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
#define DEVICE inline
#define KERNEL void
#else
#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void
DEVICE u32 bits_of(float value) { return __float_as_uint(value); }
DEVICE float of_bits(u32 bits) { return __uint_as_float(bits); }
#endif

// Threads per block.
#define THREADS 256

struct Bfloat16 {
    u16 bits;
};

DEVICE float load(const float* values, u64 at) { return values[at]; }
DEVICE float load(const Bfloat16* values, u64 at) { return of_bits((u32)values[at].bits << 16); }
DEVICE void store(float* values, u64 at, float value) { values[at] = value; }
// Rounds to nearest, ties to even.
DEVICE void store(Bfloat16* values, u64 at, float value) {
    u32 bits = bits_of(value);
    values[at].bits = value != value ? (u16)(bits >> 16 | 0x40) : (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// A fused activation between two layers with weights: bias, max-pooling, ReLU and dropout. Values are channels-last.
struct Gate {
    const void* x;              // [n, h, w, c]
    const void* bias;           // [c], or null
    void* y;                    // [n, h / side, w / side, c]; may be x if side is 1
    u8* which;                  // like y: index of the value in its window, or SHUT; null if side is 1
    const void* y_gradient;     // like y
    void* x_gradient;           // like x; may be y_gradient if side is 1
    float* bias_gradient;       // [slices, c], whose sum over slices is the bias gradient; or null
    const u32* key_there;       // the two words of the dropout key, on the device; null to use `key`
    u32 key[2];
    u32 n, h, w, c, side;
    u32 relu;                   // whether negative values become zero
    u32 least;                  // a value is dropped if its 16 bits are below this; 0 for no dropout
    float scale;                // of the values that are kept
    u32 slices;                 // threads of the backward pass per channel
};

#define SHUT 255

// Returns 16 random bits for the value with this index. Each hash value serves one value of the first half of a row and
// one of the second half.
DEVICE u32 random_bits(const u32* key, u32 index) {
    u32 x = (index / 1024 * 512 + index % 512) ^ key[0];
    x = (x ^ x >> 17) * 0xed5ad4bbu + key[1];
    x = (x ^ x >> 11) * 0xac4c1b51u;
    x = (x ^ x >> 15) * 0x31848babu;
    x = x ^ x >> 14;
    return index % 1024 < 512 ? x & 0xffff : x >> 16;
}

// Returns whether dropout keeps the value at this index of y. With pooling, each image starts a new row of random bits.
DEVICE bool is_kept(const Gate& gate, u32 at) {
    if (gate.least == 0) return true;
    u32 index = at;
    if (gate.side > 1) {
        const u32 outside = (gate.h / gate.side) * (gate.w / gate.side) * gate.c;
        index = at / outside * ((outside + 1023) / 1024 * 1024) + at % outside;
    }
    return random_bits(gate.key_there ? gate.key_there : gate.key, index) >= gate.least;
}

// Returns where in x the window of a row of y begins. A row is one position of one image, with all its channels.
DEVICE u64 window(const Gate& gate, u32 row) {
    const u32 down = gate.h / gate.side, across = gate.w / gate.side;
    const u32 column = row % across, line = row / across % down, image = row / across / down;
    return (((u64)image * gate.h + line * gate.side) * gate.w + column * gate.side) * gate.c;
}

template <class T>
DEVICE void gate_forward(const Gate& gate) {
    const u32 at = blockIdx.x * THREADS + threadIdx.x;
    const u32 rows = gate.n * (gate.h / gate.side) * (gate.w / gate.side);
    if (at >= rows * gate.c) return;
    const u32 row = at / gate.c, channel = at % gate.c;
    const T* x = (const T*)gate.x;
    const u64 first = window(gate, row) + channel;
    float value = load(x, first);
    u32 place = 0;
    for (u32 other = 1; other < gate.side * gate.side; ++other) {
        const float next = load(x, first + ((u64)(other / gate.side) * gate.w + other % gate.side) * gate.c);
        // NaN counts as the maximum.
        if (next > value || next != next) {
            value = next;
            place = other;
        }
    }
    if (gate.bias) value += load((const T*)gate.bias, channel);
    const bool open = (!gate.relu || value > 0 || value != value) && is_kept(gate, at);
    store((T*)gate.y, at, open ? value * gate.scale : 0.0f);
    if (gate.which) gate.which[at] = open ? (u8)place : SHUT;
}

template <class T>
DEVICE void gate_backward(const Gate& gate) {
    const u32 thread = blockIdx.x * THREADS + threadIdx.x;
    if (thread >= gate.slices * gate.c) return;
    const u32 channel = thread % gate.c, slice = thread / gate.c;
    const u32 rows = gate.n * (gate.h / gate.side) * (gate.w / gate.side);
    T* to = (T*)gate.x_gradient;
    float sum = 0;
    for (u32 row = slice; row < rows; row += gate.slices) {
        const u32 at = row * gate.c + channel;
        bool open;
        u32 place = 0;
        if (gate.which) {
            place = gate.which[at];
            open = place != SHUT;
        } else if (gate.relu) {
            // With ReLU, the values that were passed on are those above zero.
            const float y = load((const T*)gate.y, at);
            open = y > 0 || y != y;
        } else {
            open = is_kept(gate, at);
        }
        const float gradient = open ? load((const T*)gate.y_gradient, at) * gate.scale : 0.0f;
        sum += gradient;
        const u64 first = window(gate, row) + channel;
        for (u32 other = 0; other < gate.side * gate.side; ++other) {
            const u64 there = first + ((u64)(other / gate.side) * gate.w + other % gate.side) * gate.c;
            store(to, there, other == place ? gradient : 0.0f);
        }
    }
    if (gate.bias_gradient) gate.bias_gradient[thread] = sum;
}

// Adam's update for many tensors at once, in the same form as crates/sweep-kernels/src/adam.rs.
#define MOST_TENSORS 64
struct Adam {
    float* weights[MOST_TENSORS];
    const void* gradients[MOST_TENSORS];
    float* m[MOST_TENSORS];
    float* v[MOST_TENSORS];
    Bfloat16* working[MOST_TENSORS];  // copies of the weights that are updated too; or null
    u32 counts[MOST_TENSORS];
    u32 blocks[MOST_TENSORS];         // number of blocks up to and including this tensor
    u32 tensors;
    float beta1, beta2, epsilon;
    float rate;
    const float* rate_there;          // the learning rate on the device; null to use `rate`
};

// Values per block.
#define VALUES (4 * THREADS)

template <class T>
DEVICE void adam(const Adam& adam) {
    u32 tensor = 0;
    while (tensor < adam.tensors && blockIdx.x >= adam.blocks[tensor]) ++tensor;
    if (tensor == adam.tensors) return;
    const u32 block = blockIdx.x - (tensor ? adam.blocks[tensor - 1] : 0);
    const u32 count = adam.counts[tensor];
    const float rate = adam.rate_there ? *adam.rate_there : adam.rate;
    float *weights = adam.weights[tensor], *m = adam.m[tensor], *v = adam.v[tensor];
    const T* gradients = (const T*)adam.gradients[tensor];
    Bfloat16* working = adam.working[tensor];
    for (u32 turn = 0; turn < 4; ++turn) {
        const u32 at = block * VALUES + turn * THREADS + threadIdx.x;
        if (at >= count) return;
        const float gradient = load(gradients, at);
        const float mean = adam.beta1 * m[at] + (1 - adam.beta1) * gradient;
        const float square = adam.beta2 * v[at] + (1 - adam.beta2) * (gradient * gradient);
        const float weight = weights[at] - rate * mean / (sqrtf(square) + adam.epsilon);
        m[at] = mean;
        v[at] = square;
        weights[at] = weight;
        if (working) store(working, at, weight);
    }
}

KERNEL gate_forward_float(Gate gate) { gate_forward<float>(gate); }
KERNEL gate_forward_bfloat16(Gate gate) { gate_forward<Bfloat16>(gate); }
KERNEL gate_backward_float(Gate gate) { gate_backward<float>(gate); }
KERNEL gate_backward_bfloat16(Gate gate) { gate_backward<Bfloat16>(gate); }
KERNEL adam_float(Adam arguments) { adam<float>(arguments); }
KERNEL adam_bfloat16(Adam arguments) { adam<Bfloat16>(arguments); }

#ifdef SWEEP_HOST
template <class Arguments>
void run(void (*kernel)(Arguments), u32 blocks, const void* arguments) {
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < THREADS; ++threadIdx.x) kernel(*(const Arguments*)arguments);
}
}  // namespace

// Runs the kernel with this number on the CPU. Returns false if there is none.
extern "C" bool sweep_kernel_on_host(u32 kernel, u32 blocks, const void* arguments) {
    switch (kernel) {
        case 0: return run<Gate>(gate_forward_float, blocks, arguments), true;
        case 1: return run<Gate>(gate_forward_bfloat16, blocks, arguments), true;
        case 2: return run<Gate>(gate_backward_float, blocks, arguments), true;
        case 3: return run<Gate>(gate_backward_bfloat16, blocks, arguments), true;
        case 4: return run<Adam>(adam_float, blocks, arguments), true;
        case 5: return run<Adam>(adam_bfloat16, blocks, arguments), true;
        default: return false;
    }
}
#endif
