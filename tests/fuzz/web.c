/* The reader of requests on a connection: any bytes, in a file as stdin. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/net/web.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int in = memfd_create("in", MFD_CLOEXEC);
	int out = memfd_create("out", MFD_CLOEXEC);
	struct err err = ERR_INIT;
	struct web w;

	if (in < 0 || out < 0 || write_all(in, data, size) ||
		lseek(in, 0, SEEK_SET))
		abort();
	web_open(&w, false, in, out);
	if (web_head(&w, &err) || web_length(&w, 1000, &err) ||
		web_body(&w, &err)) {
		if (!w.status || !err.msg[0] ||
			web_answer(&w, w.status, NULL, "{}", &err))
			abort();
	} else if (w.body.len > 1000 || w.headers.n > 2 * WEB_HEADERS_MAX) {
		abort();
	}
	web_close(&w);
	(void)close(in);
	(void)close(out);
	return 0;
}
