-- wrk: every request is a delivery of its own, in the order of the file
-- $BODIES; a line of it is a signature, a tab, and the body it is of.
local bodies, n, run = {}, 0, os.getenv("RUN")
local threads = 0

function setup(thread)
	threads = threads + 1
	thread:set("id", threads)
end

function init()
	for line in io.lines(os.getenv("BODIES")) do
		local signature, body = line:match("^(%S+)\t(.*)$")
		bodies[#bodies + 1] = { signature, body }
	end
end

function request()
	n = n + 1
	local it = bodies[(n - 1) % #bodies + 1]
	return wrk.format("POST", nil, {
		["Content-Type"] = "application/json",
		["X-GitHub-Event"] = "workflow_job",
		["X-GitHub-Delivery"] = run .. "-" .. id .. "-" .. n,
		["X-Hub-Signature-256"] = it[1],
	}, it[2])
end

function done(summary, latency)
	io.write(string.format("%.1f %.2f %.2f %d\n",
		summary.requests / (summary.duration / 1e6),
		latency:percentile(50) / 1000, latency:percentile(99) / 1000,
		summary.errors.status + summary.errors.connect +
		summary.errors.read + summary.errors.write +
		summary.errors.timeout))
end
