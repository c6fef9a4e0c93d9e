package reading

import (
	"maps"
	"math"
	"slices"
)

// Sample is words whose subject is known.
type Sample struct {
	Words   Words
	Subject string
}

const (
	// rounds is how often all samples are gone through, and step how far the weights go at first.
	rounds, step = 120, 0.1
	// looseness is how freely the weights follow the samples: the reciprocal of what their squares cost.
	looseness = 3
	// rare is in how many samples a stem must stand to count, and slight the weight that is left away: it says nearly nothing.
	rare, slight = 2, 0.08
	// The usual constants of Adam (Kingma and Ba, 2015, arxiv.org/abs/1412.6980).
	beta1, beta2, epsilon = 0.9, 0.999, 1e-8
)

// indexed is a sample by the numbers of its stems and subject.
type indexed struct {
	stems   []int
	counts  []float64
	subject int
}

// Fit makes a model of samples: the weights under which their subjects are most probable, as long as they need not be large for it.
func Fit(samples []Sample) *Model {
	subjects, stems := vocabulary(samples)
	var all []indexed
	for _, s := range samples {
		x := indexed{stems: []int{0}, counts: []float64{1}, subject: slices.Index(subjects, s.Subject)}
		for _, word := range slices.Sorted(maps.Keys(s.Words)) {
			if i, known := slices.BinarySearch(stems[1:], word); known {
				x.stems, x.counts = append(x.stems, i+1), append(x.counts, s.Words[word])
			}
		}
		all = append(all, x)
	}
	weights := descend(all, len(stems), len(subjects))
	m := &Model{subjects: subjects, stems: map[string][]term{}}
	for i, stem := range stems {
		for k := range subjects {
			if w := weights[i*len(subjects)+k]; math.Abs(w) >= slight || i == 0 {
				m.stems[stem] = append(m.stems[stem], term{uint8(k), int16(math.Round(w * 100))})
			}
		}
	}
	return m
}

// vocabulary lists the subjects, and the stems that are common enough, both in order; the first stem is [always].
func vocabulary(samples []Sample) (subjects, stems []string) {
	in, known := map[string]int{}, map[string]bool{}
	for _, s := range samples {
		known[s.Subject] = true
		for word := range s.Words {
			in[word]++
		}
	}
	for word, n := range in {
		if n >= rare && word != always {
			stems = append(stems, word)
		}
	}
	slices.Sort(stems)
	return slices.Sorted(maps.Keys(known)), append([]string{always}, stems...)
}

// descend minimizes the samples' cross entropy plus what the weights cost, over all samples at once. The weights of a stem stand together.
func descend(all []indexed, stems, subjects int) []float64 {
	weights := make([]float64, stems*subjects)
	mean, square := make([]float64, len(weights)), make([]float64, len(weights))
	slope, p := make([]float64, len(weights)), make([]float64, subjects)
	for round := 1; round <= rounds; round++ {
		for i := range slope {
			slope[i] = weights[i] / looseness
		}
		clear(slope[:subjects]) // how common a subject is costs nothing
		for _, x := range all {
			clear(p)
			for n, s := range x.stems {
				for k := range p {
					p[k] += weights[s*subjects+k] * x.counts[n]
				}
			}
			softmax(p)
			p[x.subject]--
			for n, s := range x.stems {
				for k := range p {
					slope[s*subjects+k] += p[k] * x.counts[n]
				}
			}
		}
		far := step * math.Sqrt(1-math.Pow(beta2, float64(round))) / (1 - math.Pow(beta1, float64(round)))
		if round > rounds/2 {
			far *= 2 * float64(rounds-round+1) / rounds // it comes to rest
		}
		for i := range weights {
			mean[i] = beta1*mean[i] + (1-beta1)*slope[i]
			square[i] = beta2*square[i] + (1-beta2)*slope[i]*slope[i]
			weights[i] -= far * mean[i] / (math.Sqrt(square[i]) + epsilon)
		}
	}
	return weights
}
