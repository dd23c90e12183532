// Parts of libtorch that its C interface lacks. See libtorch.rs.
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/Version.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

namespace {

// Stores the gradients with respect to all inputs as new tensors. On failure, writes a message and returns false.
using Gradient = bool (*)(void* context, at::Tensor* gradient, at::Tensor** found, size_t inputs, char* message,
                          size_t room);
using Release = void (*)(void* context);

// An operation whose gradient is computed by a callback.
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

// Runs `work`. Returns null, or an error message that is valid until this thread's next call.
template <class Work>
const char* tried(Work work) {
    thread_local std::string message;
    try {
        work();
        return nullptr;
    } catch (const std::exception& error) {
        message = error.what();
        return message.c_str();
    }
}

using List = at::Tensor* const*;

std::vector<at::Tensor> copied(List tensors, size_t count) {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (size_t index = 0; index < count; ++index) list.push_back(*tensors[index]);
    return list;
}

void returned(std::vector<at::Tensor>&& list, at::Tensor** made) {
    for (size_t index = 0; index < list.size(); ++index) made[index] = new at::Tensor(std::move(list[index]));
}

}  // namespace

// Makes `output`, which has no history, the result of an operation on the inputs. Takes ownership of `context`. Returns
// whether this succeeded. If gradients are disabled, the output stays without history.
extern "C" bool sweep_operation(List inputs, size_t count, at::Tensor* output, void* context, Gradient gradient,
                                Release release) {
    if (!at::GradMode::is_enabled()) {
        release(context);
        return true;
    }
    bool taken = false;
    try {
        torch::autograd::edge_list edges;
        for (size_t index = 0; index < count; ++index)
            edges.push_back(torch::autograd::impl::gradient_edge(*inputs[index]));
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 13
        auto node = c10::make_intrusive<Operation>(context, gradient, release, std::move(edges));
#else
        std::shared_ptr<Operation> node(new Operation(context, gradient, release, std::move(edges)),
                                        torch::autograd::deleteNode);
#endif
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
    context.setDeterministicCuDNN(deterministic);
    // If there is no deterministic kernel, libtorch warns and uses another.
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
    context.setDeterministicFillUninitializedMemory(false);
    context.setAllowTF32CuDNN(tf32);
    context.setAllowTF32CuBLAS(tf32);
}

extern "C" void sweep_benchmark(bool wanted) { at::globalContext().setBenchmarkCuDNN(wanted); }

// Writes the version of the loaded libtorch, such as `2.13.0`. It may differ from the one compiled against.
extern "C" void sweep_version(char* version, size_t room) {
    const std::string settings = at::show_config(), key = "TORCH_VERSION=";
    const auto at = settings.find(key);
    std::string found = at == std::string::npos ? "unknown" : settings.substr(at + key.size());
    found = found.substr(0, found.find_first_of(", \n"));
    std::strncpy(version, found.c_str(), room - 1);
    version[room - 1] = 0;
}

// Operations on whole lists of tensors. On a GPU, a list needs one launch instead of one per tensor. `number` is a
// scalar of the operation. If `on_device` is not null, that one-element tensor is used instead, so that no constant is
// built into a CUDA graph. The names are those of libtorch's `_foreach_` operations.
extern "C" const char* sweep_each(int operation, List selves, List others, List divisors, size_t count, double number,
                                  const at::Tensor* on_device, at::Tensor** made) {
    return tried([&] {
        auto self = copied(selves, count);
        auto other = copied(others, others ? count : 0);
        switch (operation) {
            case 0: return at::_foreach_copy_(self, other);
            case 1: return on_device ? at::_foreach_mul_(self, *on_device) : at::_foreach_mul_(self, number);
            case 2: return at::_foreach_mul_(self, other);
            case 3: return at::_foreach_add_(self, other, number);
            case 4: return at::_foreach_add_(self, number);
            case 5: return at::_foreach_lerp_(self, other, number);
            case 6: return at::_foreach_div_(self, other);
            case 7: return at::_foreach_sqrt_(self);
            case 8: return at::_foreach_addcdiv_(self, other, copied(divisors, count), number);
            case 9: return returned(at::_foreach_mul(self, other), made);
            case 10: return returned(at::_foreach_add(self, number), made);
            case 11: return returned(on_device ? at::_foreach_mul(self, *on_device) : at::_foreach_mul(self, number), made);
            case 12: return returned(at::_foreach_norm(self, number), made);
            default: throw std::logic_error("there is no such operation");
        }
    });
}

// Adam for all weights in one launch. `steps` is so large that the kernel's own bias correction is 1, because the rate
// already contains it (see optimizer/adam.rs).
extern "C" const char* sweep_fused_adam(List weights, List gradients, List means, List squares, List steps, size_t count,
                                        double rate, const at::Tensor* rate_on_device, double beta1, double beta2,
                                        double epsilon) {
    return tried([&] {
        auto w = copied(weights, count), g = copied(gradients, count), m = copied(means, count);
        auto v = copied(squares, count), s = copied(steps, count);
        if (rate_on_device)
            at::_fused_adam_(w, g, m, v, {}, s, *rate_on_device, beta1, beta2, 0, epsilon, false, false);
        else
            at::_fused_adam_(w, g, m, v, {}, s, rate, beta1, beta2, 0, epsilon, false, false);
    });
}

// Creates a random number generator on the CPU or on the first GPU.
extern "C" const char* sweep_generator(bool cuda, at::Generator** made) {
    return tried([&] {
        const auto device = cuda ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
        at::Generator first = at::globalContext().defaultGenerator(device);
        const std::lock_guard<std::mutex> guard(first.mutex());
        *made = new at::Generator(first.clone());
    });
}

extern "C" void sweep_generator_discard(at::Generator* generator) { delete generator; }

extern "C" const char* sweep_generator_seed(at::Generator* generator, uint64_t seed) {
    return tried([&] {
        const std::lock_guard<std::mutex> guard(generator->mutex());
        generator->set_current_seed(seed);
    });
}

// Creates random numbers with the shape, kind and layout of a tensor. They are 1 with probability `share` and 0
// otherwise. If `share` is negative, they are standard normal.
extern "C" const char* sweep_random(at::Generator* generator, const at::Tensor* like, double share, at::Tensor** made) {
    return tried([&] {
        const at::NoGradGuard guard;
        auto numbers = at::empty_like(*like);
        *made = new at::Tensor(share < 0 ? numbers.normal_(0, 1, *generator) : numbers.bernoulli_(share, *generator));
    });
}
