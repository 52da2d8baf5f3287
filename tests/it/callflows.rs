//! Owns what holds for call flows as files: the shipped ones say what they should in every language, every fault is told
//! at its place, the schema and the reader agree, and a flow that passes its checks cannot be led astray.

mod corpus;
mod paths;
mod relaxng;
mod shipped;
