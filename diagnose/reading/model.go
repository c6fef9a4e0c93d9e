package reading

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Words are stems, and how much each counts: 1 for one of the line that matters most, less for others.
type Words map[string]float64

// Add lets a word count, unless it already counts more.
func (w Words) Add(word string, weight float64) { w[word] = max(w[word], weight) }

// Model holds how much each stem speaks for each subject. It is safe for use by several goroutines.
type Model struct {
	subjects []string
	stems    map[string][]term
}

// term is what a stem says of one subject, in hundredths.
type term struct {
	subject    uint8
	hundredths int16
}

func (t term) weight() float64 { return float64(t.hundredths) / 100 }

// always is the stem that all words have: how common a subject is in itself.
const always = "{always}"

// scores adds up what the words say, by subject.
func (m *Model) scores(w Words) []float64 {
	out := make([]float64, len(m.subjects))
	for _, t := range m.stems[always] {
		out[t.subject] += t.weight()
	}
	for _, word := range slices.Sorted(maps.Keys(w)) {
		for _, t := range m.stems[word] {
			out[t.subject] += t.weight() * w[word]
		}
	}
	return out
}

// Read says what the words are most probably about, and how probable that is, from 0 to 1. The empty subject is that of a model that knows none.
func (m *Model) Read(w Words) (subject string, probability float64) {
	p := m.scores(w)
	softmax(p)
	for i := range p {
		if p[i] > probability {
			subject, probability = m.subjects[i], p[i]
		}
	}
	return subject, probability
}

// Speaks says how much the words speak for a subject, however common that is; less than 0 when they speak against it.
func (m *Model) Speaks(w Words, subject string) float64 {
	sum := 0.0
	i := slices.Index(m.subjects, subject)
	for _, word := range slices.Sorted(maps.Keys(w)) {
		for _, t := range m.stems[word] {
			if int(t.subject) == i {
				sum += t.weight() * w[word]
			}
		}
	}
	return sum
}

func softmax(x []float64) {
	if len(x) == 0 {
		return
	}
	highest, sum := slices.Max(x), 0.0
	for i := range x {
		x[i] = math.Exp(x[i] - highest)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// Write writes the model, a line for each stem: the stem, then each subject that it speaks for or against with its weight in hundredths.
func (m *Model) Write(to io.Writer) error {
	for _, stem := range slices.Sorted(maps.Keys(m.stems)) {
		if _, err := io.WriteString(to, stem); err != nil {
			return fmt.Errorf("writing a model: %w", err)
		}
		for _, t := range m.stems[stem] {
			if _, err := fmt.Fprintf(to, "\t%s %d", m.subjects[t.subject], t.hundredths); err != nil {
				return fmt.Errorf("writing a model: %w", err)
			}
		}
		if _, err := io.WriteString(to, "\n"); err != nil {
			return fmt.Errorf("writing a model: %w", err)
		}
	}
	return nil
}

// Parse reads what [Model.Write] wrote. The error says which line is none of its.
func Parse(from io.Reader) (*Model, error) {
	m := &Model{stems: map[string][]term{}}
	at := map[string]uint8{}
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		stem, rest, _ := strings.Cut(lines.Text(), "\t")
		if stem == "" || m.stems[stem] != nil {
			return nil, fmt.Errorf("line %d of a model: the stem %q is empty or stands twice", n, stem)
		}
		var terms []term
		for part := range strings.SplitSeq(rest, "\t") {
			subject, number, _ := strings.Cut(part, " ")
			hundredths, err := strconv.ParseInt(number, 10, 16)
			if err != nil || subject == "" || len(m.subjects) > math.MaxUint8 {
				return nil, fmt.Errorf("line %d of a model: %q is no subject with a weight", n, part)
			}
			if _, known := at[subject]; !known {
				at[subject] = uint8(len(m.subjects))
				m.subjects = append(m.subjects, subject)
			}
			terms = append(terms, term{at[subject], int16(hundredths)})
		}
		m.stems[stem] = terms
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading a model: %w", err)
	}
	return m, nil
}

// Subjects lists what the model can speak of.
func (m *Model) Subjects() []string { return slices.Clone(m.subjects) }
