"""SQL text to syntax trees and back: one statement in, one frozen tree out."""
