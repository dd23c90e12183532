// What libtorch's C interface leaves out. See libtorch.rs.
#include <stdexcept>
#include <vector>

#include <ATen/Context.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

namespace {

// The gradients for all inputs as new tensors, or a message and false.
using Gradient = bool (*)(void* context, at::Tensor* gradient, at::Tensor** found, size_t inputs, char* message,
                          size_t room);
using Release = void (*)(void* context);

// An operation whose gradient comes from outside.
struct Operation : torch::autograd::Node {
    Operation(void* context, Gradient gradient, Release release, torch::autograd::edge_list edges)
        : Node(std::move(edges)), context(context), gradient(gradient), release(release) {}
    ~Operation() override { release(context); }

    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        torch::autograd::variable_list results(num_outputs());
        if (!gradients[0].defined()) return results;
        char message[512];
        std::vector<at::Tensor*> found(results.size());
        if (!gradient(context, &gradients[0], found.data(), found.size(), message, sizeof message))
            throw std::runtime_error(message);
        for (size_t index = 0; index < found.size(); ++index) {
            results[index] = std::move(*found[index]);
            delete found[index];
        }
        return results;
    }

    void* context;
    Gradient gradient;
    Release release;
};

}  // namespace

// Makes `output`, which has no history, the outcome of an operation on the inputs. Takes `context`. Whether it could.
// Where no gradients are taken, the output stays without history.
extern "C" bool sweep_operation(at::Tensor* const* inputs, size_t count, at::Tensor* output, void* context,
                                Gradient gradient, Release release) {
    if (!at::GradMode::is_enabled()) {
        release(context);
        return true;
    }
    bool taken = false;
    try {
        torch::autograd::edge_list edges;
        for (size_t index = 0; index < count; ++index)
            edges.push_back(torch::autograd::impl::gradient_edge(*inputs[index]));
        auto node = c10::make_intrusive<Operation>(context, gradient, release, std::move(edges));
        taken = true;
        torch::autograd::set_history(*output, node);
        return true;
    } catch (...) {
        if (!taken) release(context);
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
