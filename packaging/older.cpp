// Keeps sweep-trainer at glibc 2.28 and the libstdc++ of GCC 8, which PyTorch's wheels need. Linked into it by
// packaging/trainer, which passes --wrap for the functions below. packaging/symbols.py checks the result.
#include <sstream>
#include <sys/syscall.h>
#include <unistd.h>

// Inside libstdc++ only since GCC 9.
template std::basic_ostringstream<char>::basic_ostringstream();

extern "C" {

// glibc 2.29 has new versions of these, which set errno elsewhere. Both versions compute the same numbers.
double exp_2_2_5(double);
double log_2_2_5(double);
double pow_2_2_5(double, double);
__asm__(".symver exp_2_2_5, exp@GLIBC_2.2.5");
__asm__(".symver log_2_2_5, log@GLIBC_2.2.5");
__asm__(".symver pow_2_2_5, pow@GLIBC_2.2.5");

double __wrap_exp(double x) { return exp_2_2_5(x); }
double __wrap_log(double x) { return log_2_2_5(x); }
double __wrap_pow(double x, double y) { return pow_2_2_5(x, y); }

// Since glibc 2.30. Rust's standard library calls it where it exists.
pid_t gettid() noexcept { return static_cast<pid_t>(syscall(SYS_gettid)); }

}
