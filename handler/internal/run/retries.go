package run

// RetriesPerChunk are a run's budget of retries, times its chunks: whatever the store refuses, the
// run asks again no more often than that, and then leaves each refusal to the queue. Our choice: a chunk of
// 19,000 customers whose scores are all written, with those that they supersede, asks some 400 times
// (store.MaxOps a batch), of which twenty fail where 5% do; with what this allows one in eight may.
// What is throttled does not count: see store.Meter.
//
// The budget is shared out by lanes, each of which has it for its own chunks. A lane's
// chunks come one after the other, so that the message that asks for one can say what those before
// it spent: nothing is read or written for it, whatever instance works which. What an attempt
// spent that was killed or given up is recorded nowhere; the queue's count bounds those.
const RetriesPerChunk = 50

// MostRetries are how many times one chunk may ask again though its lane have more left: a store
// that is down must not cost the lane all of it.
const MostRetries = 2 * RetriesPerChunk

// Allowance is how many times a chunk may ask the store again, over all its calls, where the chunks
// of its lane that are done spent so many. At 0 the first refusal goes back to the queue, which
// waits for longer than a call would; a store that is up again lets such a run end all the same.
func Allowance(bucket, width, chunks, spent int) int {
	lane := (chunks - 1 - bucket%width) / width // and one: the lane's chunks
	return min(MostRetries, max(0, (lane+1)*RetriesPerChunk-spent))
}

// spent is what a chunk that is done took of its run's budget.
func (c *chunk) spent() int { return int(c.Store.Retries - c.Store.Throttled) }
