/* Prints the keepalive options of a new TCP socket; it sets none itself. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	getsockopt(fd, level, name, &value, &size);
	return value;
}

int main(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	printf("keepalive %d idle %d interval %d count %d\n",
	       option(fd, SOL_SOCKET, SO_KEEPALIVE),
	       option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
	       option(fd, IPPROTO_TCP, TCP_KEEPINTVL),
	       option(fd, IPPROTO_TCP, TCP_KEEPCNT));
	fflush(stdout);
	return 0;
}
