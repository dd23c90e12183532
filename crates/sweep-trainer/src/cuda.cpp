// What of CUDA's part of libtorch the trainer uses. A shared object of its own, opened where there is a GPU: see cuda.rs.
#include <memory>
#include <string>

#include <ATen/core/Generator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

namespace {

// Runs `work`. Returns null, or the error's message, which is valid until this thread's next call.
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

at::cuda::CUDAGraph* of(void* graph) { return static_cast<at::cuda::CUDAGraph*>(graph); }

}  // namespace

extern "C" const char* sweep_cuda_use_own_stream() {
    return tried([] { c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, 0)); });
}

// The stream that this thread's work runs on.
extern "C" const char* sweep_cuda_stream(void** stream) {
    return tried([&] { *stream = c10::cuda::getCurrentCUDAStream().stream(); });
}

// `generator` is what the recorded work draws its random numbers with: a replay takes them from its seed at that time.
extern "C" const char* sweep_cuda_begin(void** graph, const at::Generator* generator) {
    return tried([&] {
        c10::cuda::device_synchronize();
        auto made = std::make_unique<at::cuda::CUDAGraph>(/*keep_graph=*/true);
        made->register_generator_state(*generator);
        // Other threads may go on as they like: libtorch's thread for the way back is one of them.
        made->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        *graph = made.release();
    });
}

// Counts the operations of the graph.
extern "C" const char* sweep_cuda_end(void* graph, size_t* operations) {
    return tried([&] {
        of(graph)->capture_end();
        C10_CUDA_CHECK(cudaGraphGetNodes(of(graph)->raw_cuda_graph(), nullptr, operations));
        of(graph)->instantiate();
    });
}

extern "C" const char* sweep_cuda_replay(void* graph) {
    return tried([&] { of(graph)->replay(); });
}

extern "C" const char* sweep_cuda_discard(void* graph) {
    return tried([&] {
        const std::unique_ptr<at::cuda::CUDAGraph> owned(of(graph));
        c10::cuda::device_synchronize();
    });
}
