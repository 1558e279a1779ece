package run

// RetriesPerChunk are a run's budget of retries, times its chunks: of what the store refuses, its chunks
// ask again for no more than that and, for each time that a message comes, FewestRetries. Then each refusal is
// left to the queue. Our choice: a chunk of 19,000 customers whose scores are all written, with those
// that they supersede, asks some 400 times (store.MaxOps a batch), of which twenty fail where 5% do; with
// what this allows one in eight may.
// What is throttled does not count: see store.Meter.
//
// The budget is shared out by lanes, each of which has it for its own chunks. A lane's
// chunks come one after the other, so that the message that asks for one can say what those before
// it spent: nothing is read or written for it, whatever instance works which. What a delivery
// spent that was killed or given up is not known: it is taken to be all that it might.
const RetriesPerChunk = 50

// MostRetries are how many times one chunk may ask again though its lane have more left: a store
// that is down must not cost the lane all of it.
const MostRetries = 2 * RetriesPerChunk

// FewestRetries are what a chunk may ask again though its lane have nothing left, and what may be asked
// again for a message besides its chunk: of which run it is, and whether others are done. As many as a
// call is tried: one refusal among hundreds of calls must not repeat a whole chunk, which is dearer.
const FewestRetries = 8

// Allowance is how many times a chunk may ask the store again, over all its calls, where its lane has
// spent so many already.
func Allowance(bucket, width, chunks, spent int) int {
	lane := (chunks - 1 - bucket%width) / width // and one: the lane's chunks
	return min(MostRetries, max(FewestRetries, (lane+1)*RetriesPerChunk-spent))
}

// RetriesPerShare is how many times an attempt to complete a run may ask again for each chunk, over MostRetries, as
// its list's customers lie in as many buckets. Our choice: care asks something for 1,330 of a chunk of 19,000 (7 in 100,
// docs/scale.md), whose scores are 14 reads and whose suggestions, on the first night, as many reads and writes: of
// these 42, as of a chunk's own calls, one in eight may fail.
const RetriesPerShare = 5

// toComplete is how many times an attempt to complete a run of so many chunks may ask again.
func toComplete(chunks int) int { return MostRetries + RetriesPerShare*chunks }

// spent is what a chunk that is done took of its run's budget.
func (c *chunk) spent() int { return c.Before + int(c.Store.Retries-c.Store.Throttled) }
