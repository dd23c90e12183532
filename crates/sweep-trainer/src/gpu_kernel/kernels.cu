// GPU kernels that replace several libtorch launches each. NVRTC compiles this file when the trainer starts. With
// SWEEP_HOST, a C++ compiler compiles it and the threads run one after the other, so that tests on a CPU run the same
// source.
//
// Dropout masks equal those on a CPU: see crates/sweep-kernels/src/chance.rs and fused_activation.rs. Threads do not wait for each
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
struct FusedActivation {
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
    u32 slices;                 // parts of the rows in the backward pass, each summed by one thread per WIDE or 1 channels
    u32 wide;                   // whether c is a multiple of WIDE and all addresses are multiples of 16
};

#define SHUT 255

// Number of neighboring channels that a thread handles where 16-byte accesses are possible (see fused_activation.rs). Elsewhere it
// handles one.
#define WIDE 8

template <class T, u32 WIDTH>
struct alignas(WIDTH * sizeof(T) < 16 ? WIDTH * sizeof(T) : 16) Pack {
    T values[WIDTH];
};

template <u32 WIDTH, class T>
DEVICE Pack<T, WIDTH> load_pack(const void* values, u64 at, const T*) {
    return *(const Pack<T, WIDTH>*)((const T*)values + at);
}

// Returns 16 random bits for the value with this index. Each hash value serves one value of the first half of a row and
// one of the second half.
DEVICE u32 random_bits(u32 key0, u32 key1, u32 index) {
    u32 x = (index / 1024 * 512 + index % 512) ^ key0;
    x = (x ^ x >> 17) * 0xed5ad4bbu + key1;
    x = (x ^ x >> 11) * 0xac4c1b51u;
    x = (x ^ x >> 15) * 0x31848babu;
    x = x ^ x >> 14;
    return index % 1024 < 512 ? x & 0xffff : x >> 16;
}

// Decides which of WIDTH values of y, from this index on, dropout keeps: one bit each. With pooling, each image starts a
// new row of random bits.
template <u32 WIDTH>
DEVICE u32 kept(const FusedActivation& activation, u32 at) {
    if (activation.least == 0) return ~0u;
    u32 index = at;
    if (activation.side > 1) {
        const u32 outside = (activation.h / activation.side) * (activation.w / activation.side) * activation.c;
        index = at / outside * ((outside + 1023) / 1024 * 1024) + at % outside;
    }
    const u32* key = activation.key_there ? activation.key_there : activation.key;
    const u32 key0 = key[0], key1 = key[1];
    u32 bits = 0;
    for (u32 i = 0; i < WIDTH; ++i) bits |= (u32)(random_bits(key0, key1, index + i) >= activation.least) << i;
    return bits;
}

// Returns where in x the window of a row of y begins. A row is one position of one image, with all its channels.
DEVICE u64 window(const FusedActivation& activation, u32 row) {
    const u32 down = activation.h / activation.side, across = activation.w / activation.side;
    const u32 column = row % across, line = row / across % down, image = row / across / down;
    return (((u64)image * activation.h + line * activation.side) * activation.w + column * activation.side) * activation.c;
}

template <class T, u32 WIDTH>
DEVICE void activation_forward(const FusedActivation& activation) {
    const u32 thread = blockIdx.x * THREADS + threadIdx.x;
    const u32 rows = activation.n * (activation.h / activation.side) * (activation.w / activation.side), across = activation.c / WIDTH;
    if (thread >= rows * across) return;
    const u32 row = thread / across, channel = thread % across * WIDTH, at = row * activation.c + channel;
    const T* kind = nullptr;
    const u64 first = window(activation, row) + channel;
    const Pack<T, WIDTH> begin = load_pack<WIDTH>(activation.x, first, kind);
    float values[WIDTH];
    Pack<u8, WIDTH> places;
    for (u32 i = 0; i < WIDTH; ++i) {
        values[i] = load(begin.values, i);
        places.values[i] = 0;
    }
    for (u32 other = 1; other < activation.side * activation.side; ++other) {
        const u64 there = first + ((u64)(other / activation.side) * activation.w + other % activation.side) * activation.c;
        const Pack<T, WIDTH> pack = load_pack<WIDTH>(activation.x, there, kind);
        for (u32 i = 0; i < WIDTH; ++i) {
            const float next = load(pack.values, i);
            // NaN counts as the maximum.
            if (next > values[i] || next != next) {
                values[i] = next;
                places.values[i] = (u8)other;
            }
        }
    }
    if (activation.bias) {
        const Pack<T, WIDTH> bias = load_pack<WIDTH>(activation.bias, channel, kind);
        for (u32 i = 0; i < WIDTH; ++i) values[i] += load(bias.values, i);
    }
    const u32 keep = kept<WIDTH>(activation, at);
    Pack<T, WIDTH> out;
    for (u32 i = 0; i < WIDTH; ++i) {
        const bool open = (!activation.relu || values[i] > 0 || values[i] != values[i]) && (keep >> i & 1);
        store(out.values, i, open ? values[i] * activation.scale : 0.0f);
        if (!open) places.values[i] = SHUT;
    }
    *(Pack<T, WIDTH>*)((T*)activation.y + at) = out;
    if (activation.which) *(Pack<u8, WIDTH>*)(activation.which + at) = places;
}

template <class T, u32 WIDTH>
DEVICE void activation_backward(const FusedActivation& activation) {
    const u32 thread = blockIdx.x * THREADS + threadIdx.x, across = activation.c / WIDTH;
    if (thread >= activation.slices * across) return;
    const u32 channel = thread % across * WIDTH, slice = thread / across;
    const u32 rows = activation.n * (activation.h / activation.side) * (activation.w / activation.side);
    const T* kind = nullptr;
    float sums[WIDTH];
    for (u32 i = 0; i < WIDTH; ++i) sums[i] = 0;
    for (u32 row = slice; row < rows; row += activation.slices) {
        const u32 at = row * activation.c + channel;
        u32 open = 0;
        Pack<u8, WIDTH> places = {};
        if (activation.which) {
            places = *(const Pack<u8, WIDTH>*)(activation.which + at);
            for (u32 i = 0; i < WIDTH; ++i) open |= (u32)(places.values[i] != SHUT) << i;
        } else if (activation.relu) {
            // With ReLU, the values that were passed on are those above zero.
            const Pack<T, WIDTH> ys = load_pack<WIDTH>(activation.y, at, kind);
            for (u32 i = 0; i < WIDTH; ++i) {
                const float y = load(ys.values, i);
                open |= (u32)(y > 0 || y != y) << i;
            }
        } else {
            open = kept<WIDTH>(activation, at);
        }
        const Pack<T, WIDTH> above = load_pack<WIDTH>(activation.y_gradient, at, kind);
        float gradients[WIDTH];
        for (u32 i = 0; i < WIDTH; ++i) {
            gradients[i] = open >> i & 1 ? load(above.values, i) * activation.scale : 0.0f;
            sums[i] += gradients[i];
        }
        const u64 first = window(activation, row) + channel;
        for (u32 other = 0; other < activation.side * activation.side; ++other) {
            const u64 there = first + ((u64)(other / activation.side) * activation.w + other % activation.side) * activation.c;
            Pack<T, WIDTH> out;
            for (u32 i = 0; i < WIDTH; ++i) store(out.values, i, other == places.values[i] ? gradients[i] : 0.0f);
            *(Pack<T, WIDTH>*)((T*)activation.x_gradient + there) = out;
        }
    }
    if (activation.bias_gradient)
        for (u32 i = 0; i < WIDTH; ++i) activation.bias_gradient[slice * activation.c + channel + i] = sums[i];
}

template <class T>
DEVICE void activation_forward(const FusedActivation& activation) {
    activation.wide ? activation_forward<T, WIDE>(activation) : activation_forward<T, 1>(activation);
}

template <class T>
DEVICE void activation_backward(const FusedActivation& activation) {
    activation.wide ? activation_backward<T, WIDE>(activation) : activation_backward<T, 1>(activation);
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

KERNEL activation_forward_float(FusedActivation activation) { activation_forward<float>(activation); }
KERNEL activation_forward_bfloat16(FusedActivation activation) { activation_forward<Bfloat16>(activation); }
KERNEL activation_backward_float(FusedActivation activation) { activation_backward<float>(activation); }
KERNEL activation_backward_bfloat16(FusedActivation activation) { activation_backward<Bfloat16>(activation); }
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
        case 0: return run<FusedActivation>(activation_forward_float, blocks, arguments), true;
        case 1: return run<FusedActivation>(activation_forward_bfloat16, blocks, arguments), true;
        case 2: return run<FusedActivation>(activation_backward_float, blocks, arguments), true;
        case 3: return run<FusedActivation>(activation_backward_bfloat16, blocks, arguments), true;
        case 4: return run<Adam>(adam_float, blocks, arguments), true;
        case 5: return run<Adam>(adam_bfloat16, blocks, arguments), true;
        default: return false;
    }
}
#endif
