package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"crashloop/diagnose"
	"crashloop/diagnose/rules"
)

func newCauses() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "causes",
		Short: "List the causes that it can tell apart",
		Long:  "Causes lists the catalogue: each cause with its id, which stays the same wherever it is named. 'crashloop explain ID' tells more of one.",
		Args:  noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch output {
			case "json":
				type cause struct {
					ID       string `json:"id"`
					Category string `json:"category"`
					Title    string `json:"title"`
				}
				list := []cause{}
				for _, r := range rules.All() {
					list = append(list, cause{r.ID, r.Category, r.Title})
				}
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(list)
			case "text":
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, c := range diagnose.Categories() {
					fmt.Fprintf(w, "%s\t%s\n", c.ID, c.Means)
					for _, r := range rules.All() {
						if r.Category == c.ID {
							fmt.Fprintf(w, "  %s\t%s\n", r.ID, r.Title)
						}
					}
				}
				return w.Flush()
			}
			return &usageError{fmt.Errorf("-o %q: it is text or json", output)}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain ID",
		Short:   "Tell what a cause means, how to confirm it and how to mend it",
		Example: "  crashloop explain probe.slow-start",
		Args:    arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return ruleIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, r := range rules.All() {
				if r.ID == args[0] {
					_, err := fmt.Fprint(cmd.OutOrStdout(), diagnose.Explain(r))
					return err
				}
			}
			return &usageError{fmt.Errorf("there is no cause %q; did you mean %s? 'crashloop causes' lists all", args[0], nearest(args[0], ruleIDs()))}
		},
	}
}

func ruleIDs() []string {
	var ids []string
	for _, r := range rules.All() {
		ids = append(ids, r.ID)
	}
	return ids
}
