/* The same in C++. */

#include "cancellation.c"
