// The trainer's interface to the CUDA part of libtorch. It is a separate shared object that is opened only if there is
// a GPU: see cuda.rs.
#include <memory>
#include <string>

#include <ATen/core/Generator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

namespace {

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

at::cuda::CUDAGraph* of(void* graph) { return static_cast<at::cuda::CUDAGraph*>(graph); }

}  // namespace

extern "C" const char* sweep_cuda_use_own_stream() {
    return tried([] { c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, 0)); });
}

// Returns the stream on which this thread's work runs.
extern "C" const char* sweep_cuda_stream(void** stream) {
    return tried([&] { *stream = c10::cuda::getCurrentCUDAStream().stream(); });
}

// Starts a recording. The recorded work draws its random numbers from `generator`. A replay uses the generator's seed
// at the time of the replay.
extern "C" const char* sweep_cuda_begin(void** graph, const at::Generator* generator) {
    return tried([&] {
        c10::cuda::device_synchronize();
        auto made = std::make_unique<at::cuda::CUDAGraph>(/*keep_graph=*/true);
        made->register_generator_state(*generator);
        // Other threads may continue without restrictions. One of them is libtorch's thread for the backward pass.
        made->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        *graph = made.release();
    });
}

// Ends the recording and counts the operations of the graph.
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
