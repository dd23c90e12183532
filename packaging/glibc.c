// Keeps sweep-trainer at GLIBC_2.28, the version that PyTorch's wheels need. Linked into it by packaging/trainer, which
// passes --wrap for the functions below. packaging/symbols.py checks the result.
#include <sys/syscall.h>
#include <unistd.h>

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
pid_t gettid(void) { return (pid_t)syscall(SYS_gettid); }
