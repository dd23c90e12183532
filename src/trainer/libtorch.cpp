// What libtorch's C interface leaves out. See libtorch.rs.
#include <stdexcept>

#include <ATen/Context.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace {

// The gradient as a new tensor, or none and a message.
using Gradient = at::Tensor* (*)(void* context, at::Tensor* gradient, char* message, size_t room);
using Release = void (*)(void* context);

// An operation whose gradient comes from outside.
struct Operation : torch::autograd::Node {
    Operation(void* context, Gradient gradient, Release release, torch::autograd::edge_list edges)
        : Node(std::move(edges)), context(context), gradient(gradient), release(release) {}
    ~Operation() override { release(context); }

    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        if (!gradients[0].defined()) return {at::Tensor()};
        char message[512];
        at::Tensor* found = gradient(context, &gradients[0], message, sizeof message);
        if (found == nullptr) throw std::runtime_error(message);
        at::Tensor result = std::move(*found);
        delete found;
        return {std::move(result)};
    }

    void* context;
    Gradient gradient;
    Release release;
};

}  // namespace

// Makes `output`, which has no history, the outcome of an operation on `input`. Takes `context`. Whether it could.
extern "C" bool sweep_operation(at::Tensor* input, at::Tensor* output, void* context, Gradient gradient,
                                Release release) {
    try {
        auto edges = torch::autograd::collect_next_edges(*input);
        auto node = c10::make_intrusive<Operation>(context, gradient, release, std::move(edges));
        torch::autograd::set_history(*output, node);
        return true;
    } catch (...) {
        return false;
    }
}

extern "C" void sweep_calculate(bool deterministic, bool tf32) {
    auto& context = at::globalContext();
    context.setBenchmarkCuDNN(!deterministic);
    context.setDeterministicCuDNN(deterministic);
    // Where there is no other kernel it warns, and goes on.
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
    context.setDeterministicFillUninitializedMemory(false);
    context.setAllowTF32CuDNN(tf32);
    context.setAllowTF32CuBLAS(tf32);
}
