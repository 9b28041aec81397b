// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program without a C library: bare SOCKADDR-IN-HEX connects and waits to be killed. x86-64, or
 * i386 with -m32.
 */
#define AF_FAMILY_BYTES 2
#define SOCK_STREAM 1

#ifdef __x86_64__
enum { CALL_CONNECT = 42, CALL_PAUSE = 34, CALL_SOCKET = 41, CALL_EXIT = 60 };

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile ("syscall" : "=a" (result) : "a" (number), "D" (a), "S" (b), "d" (c)
			  : "rcx", "r11", "memory");
	return result;
}

__asm__ (".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
enum { CALL_CONNECT = 362, CALL_PAUSE = 29, CALL_SOCKET = 359, CALL_EXIT = 1 };

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile ("int $0x80" : "=a" (result) : "a" (number), "b" (a), "c" (b), "d" (c)
			  : "memory");
	return result;
}

__asm__ (".globl _start\n_start: mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n push %eax\n"
	 " call begin\n");
#endif

static int digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

void begin(long *stack);
__attribute__((noreturn, used)) void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	unsigned char address[28];
	unsigned int len = 0;
	long fd;

	if (stack[0] == 2)
		for (char *hex = argv[1]; hex[0] && hex[1] && len < sizeof(address); hex += 2)
			address[len++] = digit(hex[0]) << 4 | digit(hex[1]);
	fd = len > AF_FAMILY_BYTES ? call(CALL_SOCKET, address[0], SOCK_STREAM, 0) : -1;
	if (fd >= 0 && call(CALL_CONNECT, fd, (long)address, len) == 0)
		call(CALL_PAUSE, 0, 0, 0);
	call(CALL_EXIT, 1, 0, 0);
	__builtin_unreachable();
}
