#include "lib/trust/hmac.h"

#include "tests/unit/tap.h"

/* The example of GitHub's documentation. */
static const char key[] = "It's a Secret to Everybody";
static const char body[] = "Hello, World!";
static const char good[] = "sha256=757107ea0eb2509fc211221cce984b8a"
	"37570b6d7586c22c46f4379c8b043e17";

int
main(void)
{
	unsigned char mac[HMAC_SIZE], want[HMAC_SIZE], kept[HMAC_SIZE] = { 7 };
	struct err err = ERR_INIT;
	char text[sizeof(good) + 1];

	ok(hmac_parse(good, want), "a signature is read");
	ok(!hmac_sha256(key, strlen(key), body, strlen(body), mac, &err) &&
		hmac_equal(mac, want), "the known vector");
	ok(!hmac_sha256(key, strlen(key) - 1, body, strlen(body), mac, &err) &&
		!hmac_equal(mac, want), "another key");
	mac[31] = want[31] ^ 1;
	ok(!hmac_equal(mac, want), "one bit differs");
	(void)snprintf(text, sizeof(text), "%s0", good);
	ok(!hmac_parse(text, kept), "a digit too many");
	text[strlen(good) - 1] = '\0';
	ok(!hmac_parse(text, kept), "a digit too few");
	(void)snprintf(text, sizeof(text), "%s", good);
	text[20] = 'g';
	ok(!hmac_parse(text, kept), "no digit");
	ok(!hmac_parse("sha1=00", kept) && !hmac_parse("", kept),
		"no sha256");
	is_int(kept[0], 7, "refused: nothing was written");
	return done();
}
